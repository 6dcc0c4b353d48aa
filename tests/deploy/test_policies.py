"""Least privilege: what each role of the templates may do, and who may take it."""

import re
from typing import Any

import pytest

from tests.deploy.templates import CALLERS, ENOUGH, KEY, NIGHTLY, TOPIC, made, read

# with everything that is optional, so that no statement is missing
ROLES = {
    "role": made("role", Topics=TOPIC, KmsKey=KEY),
    "batch": made("batch", **NIGHTLY),
    "gateway": made("gateway"),
    "gateway-logs": made("gateway-logs"),
    "decisions": made("decisions"),
    "channels": made("channels", **CALLERS),
}
# action → why it cannot name a resource
ANYTHING = {
    "ecr:GetAuthorizationToken": "it is about the whole registry",
    "cloudwatch:PutMetricData": "it knows namespaces only, and its statement has them as a condition",
}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    managed = [each for each in resources.values() if "PolicyDocument" in each]
    policies = [*managed, *(policy for each in resources.values() for policy in each.get("Policies", []))]
    listed = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
    return {statement["Sid"]: statement for statement in listed}


def test_no_role_escapes_these_tests() -> None:
    types = {name: {each["Type"] for each in read(name)["Resources"].values()} for name in ENOUGH}
    assert {name for name in types if any(each.startswith("AWS::IAM::") for each in types[name])} == ROLES.keys()


@pytest.mark.parametrize("name", ["role", "batch", "gateway", "decisions", "channels"])
def test_a_role_allows_single_actions_on_named_resources(name: str) -> None:
    allowed = statements(ROLES[name])
    assert allowed
    for statement in allowed.values():
        for action in as_list(statement["Action"]):
            assert re.fullmatch(r"[a-z0-9]+:[A-Z][A-Za-z0-9]+", action), f"{action} is more than one action"
            if action in ANYTHING:
                assert statement["Resource"] == "*"
                continue
            for resource in as_list(statement["Resource"]):
                # where a name ends open, its beginning is ours or the jobs' log, which has no name to choose
                assert re.search(r"riskline|lender|/aws/sagemaker/TransformJobs", resource), f"{action} on {resource}"


def test_metrics_go_to_sagemakers_namespaces_alone() -> None:
    condition = statements(ROLES["role"])["WriteMetrics"]["Condition"]
    assert condition == {"StringLike": {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/*"]}}


def test_models_and_inputs_are_read_and_outputs_are_written() -> None:
    allowed = statements(made("role"))
    bucket = "arn:aws:s3:::lender"
    assert allowed["ReadModelsAndInputs"]["Resource"] == [f"{bucket}/riskline/models/*", f"{bucket}/riskline/in/*"]
    listed = allowed["ListModelsAndInputs"]
    assert listed["Resource"] == bucket
    # a job may name the prefix itself as its input
    assert listed["Condition"] == {"StringLike": {"s3:prefix": ["riskline/models/*", "riskline/in", "riskline/in/*"]}}
    assert allowed["WriteOutputs"]["Resource"] == f"{bucket}/riskline/out/*"
    writing = {sid for sid, each in allowed.items() if "s3:PutObject" in as_list(each["Action"])}
    assert writing == {"WriteOutputs"}


def test_decisions_are_kept_in_one_table_and_never_deleted() -> None:
    allowed = statements(made("decisions", TableName="lenders"))
    assert allowed.keys() == {"KeepDecisions"}
    assert allowed["KeepDecisions"]["Resource"] == "arn:aws:dynamodb:eu-central-1:123456789012:table/lenders"
    assert not any("Delete" in action for action in allowed["KeepDecisions"]["Action"])


def test_topics_and_key_are_allowed_where_there_are_some() -> None:
    assert {"ReportToTopics", "UseTheKey"}.isdisjoint(statements(made("role")))
    assert statements(ROLES["role"])["ReportToTopics"]["Resource"] == TOPIC
    assert statements(ROLES["role"])["UseTheKey"]["Resource"] == KEY


def test_a_role_is_taken_by_the_service_that_needs_it() -> None:
    trusted = {
        (name, statement["Principal"]["Service"], "aws:SourceAccount" in str(statement.get("Condition")))
        for name, resources in ROLES.items()
        for each in resources.values()
        for statement in each.get("AssumeRolePolicyDocument", {}).get("Statement", [])
    }
    assert trusted == {
        ("role", "sagemaker.amazonaws.com", True),
        ("batch", "scheduler.amazonaws.com", True),
        ("gateway", "apigateway.amazonaws.com", False),  # API Gateway documents no such condition
        ("gateway-logs", "apigateway.amazonaws.com", False),
        ("channels", "lambda.amazonaws.com", False),  # nor does Lambda
    }


def test_sagemaker_may_read_the_alarms_of_a_deployment() -> None:
    readable = statements(made("role"))["ReadTheAlarmsOfADeployment"]["Resource"]
    resources = made("realtime")
    listed = resources["Endpoint"]["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert listed
    for alarm in listed:
        name = resources[alarm["AlarmName"].removeprefix("→ ")]["AlarmName"]
        assert f"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:{name}".startswith(readable.removesuffix("*"))
