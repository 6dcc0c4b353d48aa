"""API Gateway in front of an endpoint: what passes, how errors come back, what is logged."""

import json
import re
from typing import Any

import pytest

from tests.deploy.templates import made

METHOD: dict[str, Any] = made("gateway")["Invoke"]
FORWARDED: dict[str, Any] = METHOD["Integration"]


def test_bodies_of_every_type_pass_as_they_are() -> None:
    assert FORWARDED["PassthroughBehavior"] == "WHEN_NO_MATCH"
    assert "RequestTemplates" not in FORWARDED
    assert made("gateway")["Api"]["BinaryMediaTypes"] == [
        "application/vnd.apache.arrow.stream",
        "application/x-parquet",
    ]


def test_types_attributes_and_ids_pass_and_attributes_come_back() -> None:
    there = ("Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id")
    assert FORWARDED["RequestParameters"] == {
        f"integration.request.header.{header}": f"method.request.header.{header}" for header in there
    }
    assert METHOD["RequestParameters"] == {f"method.request.header.{header}": False for header in there}
    back = ("Content-Type", "X-Amzn-SageMaker-Custom-Attributes")
    assert FORWARDED["IntegrationResponses"][0]["ResponseParameters"] == {
        f"method.response.header.{header}": f"integration.response.header.{header}" for header in back
    }
    assert METHOD["MethodResponses"][0]["ResponseParameters"] == {
        f"method.response.header.{header}": True for header in back
    }


ANSWERS = {200: 200, 204: 200, 400: 400, 403: 400, 424: 424, 429: 429, 500: 500, 503: 503, 530: 500}


@pytest.mark.parametrize("status", ANSWERS)
def test_no_error_becomes_a_success(status: int) -> None:
    responses = FORWARDED["IntegrationResponses"]
    patterns = {each["SelectionPattern"]: each["StatusCode"] for each in responses if "SelectionPattern" in each}
    [otherwise] = [each["StatusCode"] for each in responses if "SelectionPattern" not in each]
    chosen = [code for pattern, code in patterns.items() if re.fullmatch(pattern, str(status))] or [otherwise]
    assert chosen == [str(ANSWERS[status])]
    assert chosen[0] in {each["StatusCode"] for each in METHOD["MethodResponses"]}


def test_callers_sign_their_requests() -> None:
    assert METHOD["AuthorizationType"] == "AWS_IAM"


def test_the_access_log_says_who_asked_and_never_what() -> None:
    stage = made("gateway")["Stage"]
    line: dict[str, str] = json.loads(stage["AccessLogSetting"]["Format"])
    assert {"time", "request_id", "caller", "status", "endpoint_status"} < line.keys()
    # error messages of API Gateway quote what they are about
    assert all(re.fullmatch(r"\$context\.(?!error)[\w.]+", value) for value in line.values())
    [settings] = stage["MethodSettings"]
    assert (settings["DataTraceEnabled"], settings["LoggingLevel"]) == (False, "OFF")
