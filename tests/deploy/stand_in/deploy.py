"""Deploys stacks to a stand-in for AWS and prints what is there then, asked of the services themselves.

    python deploy.py < work.json      # in the environment that requirements.txt describes

work.json: {"stacks": [{"template": PATH, "parameters": {NAME: VALUE}}, …], "jobs": [CreateTransformJob's input, …]}
The answer: {"stacks": [{LOGICAL ID: DESCRIPTION}, …], "jobs": [DESCRIPTION, …]}. Each stack has an account of its own.
The stand-in (moto) skips alarms, autoscaling, schedules and API Gateway's stages, and says CREATE_COMPLETE anyway.
"""

import ast
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

# nothing here may reach a real account
os.environ |= {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

import boto3
from moto import mock_aws

STACK = "stack"


def deployed(template: str, parameters: dict[str, str]) -> dict[str, Any]:
    with mock_aws():
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=Path(template).read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        listed = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
        return {
            each["LogicalResourceId"]: DESCRIBE[each["ResourceType"]](each["PhysicalResourceId"])
            for each in listed
            if each.get("ResourceType") in DESCRIBE  # what the stand-in has skipped has no type
        }


def started(job: dict[str, Any]) -> dict[str, Any]:
    with mock_aws():
        sagemaker = boto3.client("sagemaker")
        sagemaker.create_transform_job(**job)
        return sagemaker.describe_transform_job(TransformJobName=job["TransformJobName"])


def model(arn: str) -> Any:
    return boto3.client("sagemaker").describe_model(ModelName=last(arn))


def endpoint_config(arn: str) -> Any:
    return boto3.client("sagemaker").describe_endpoint_config(EndpointConfigName=last(arn))


def endpoint(arn: str) -> Any:
    return boto3.client("sagemaker").describe_endpoint(EndpointName=last(arn))


def last(arn: str) -> str:
    return arn.split("/")[-1]


def role(name: str) -> Any:
    iam = boto3.client("iam")
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    policies = [iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in names]
    # the stand-in gives the document as Python writes it, with None for AWS::NoValue
    documents = [ast.literal_eval(policy) for policy in policies]
    statements = [statement for document in documents for statement in document["Statement"] if statement]
    return {**iam.get_role(RoleName=name)["Role"], "Statements": statements}


def log_group(name: str) -> Any:
    [group] = boto3.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return group


def rest_api(identifier: str) -> Any:
    gateway = boto3.client("apigateway")
    return {
        f"{method} {each['path']}": gateway.get_method(restApiId=identifier, resourceId=each["id"], httpMethod=method)
        for each in gateway.get_resources(restApiId=identifier)["items"]
        for method in each.get("resourceMethods", {})
    }


DESCRIBE = {
    "AWS::SageMaker::Model": model,
    "AWS::SageMaker::EndpointConfig": endpoint_config,
    "AWS::SageMaker::Endpoint": endpoint,
    "AWS::IAM::Role": role,
    "AWS::Logs::LogGroup": log_group,
    "AWS::ApiGateway::RestApi": rest_api,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    work = json.load(sys.stdin)
    done = {"stacks": [deployed(**stack) for stack in work["stacks"]], "jobs": [started(job) for job in work["jobs"]]}
    json.dump(done, sys.stdout, default=str)
