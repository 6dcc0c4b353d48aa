"""Deploys stacks to a stand-in for AWS and prints what is there then, asked of the services themselves.

    python deploy.py < work.json      # in the environment that requirements.txt describes

work.json: {"stacks": [{"template": PATH, "parameters": {NAME: VALUE}, "archive": [BUCKET, KEY] or []}, …],
            "jobs": [CreateTransformJob's input, …]}
The answer: {"stacks": [{LOGICAL ID: DESCRIPTION}, …], "jobs": [DESCRIPTION, …]}. Each stack has an account of its own.
The stand-in (moto) skips alarms, autoscaling, schedules, API Gateway's stages and HTTP APIs, what Connect is told and
what makes items of DynamoDB expire, and says CREATE_COMPLETE anyway.
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


def deployed(template: str, parameters: dict[str, str], archive: list[str]) -> dict[str, Any]:
    with mock_aws():
        if archive:
            bucket, key = archive
            s3 = boto3.client("s3")
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
            s3.put_object(Bucket=bucket, Key=key, Body=b"PK\5\6" + bytes(18))  # a zip of nothing
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


def table(name: str) -> Any:
    return boto3.client("dynamodb").describe_table(TableName=name)["Table"]


def managed_policy(arn: str) -> Any:
    iam = boto3.client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]


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


def function(name: str) -> Any:
    functions = boto3.client("lambda")
    return {
        **functions.get_function_configuration(FunctionName=name),
        "Callers": json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"],
    }


DESCRIBE = {
    "AWS::SageMaker::Model": model,
    "AWS::SageMaker::EndpointConfig": endpoint_config,
    "AWS::SageMaker::Endpoint": endpoint,
    "AWS::IAM::Role": role,
    "AWS::IAM::ManagedPolicy": managed_policy,
    "AWS::DynamoDB::Table": table,
    "AWS::Logs::LogGroup": log_group,
    "AWS::ApiGateway::RestApi": rest_api,
    "AWS::Lambda::Function": function,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    work = json.load(sys.stdin)
    done = {"stacks": [deployed(**stack) for stack in work["stacks"]], "jobs": [started(job) for job in work["jobs"]]}
    json.dump(done, sys.stdout, default=str)
