"""The channels in front of an endpoint: which function takes what, who may call it, and what is logged."""

import json
import re
from typing import Any

import pytest

from preprocessing.channels import forms
from serving.aws_lambda import DEFAULTS, front, handler
from tests.deploy.templates import CALLERS, made

TEMPLATE: dict[str, Any] = made("channels", **CALLERS)
FUNCTIONS = {"Http": "", "Chatbot": "chatbot", "Phone": "phone"}
CALLED_BY = {"Http": "ApiMayCall", "Chatbot": "LexMayCall", "Phone": "ConnectMayCall"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gets_settings_that_it_knows(name: str) -> None:
    environment = TEMPLATE[name]["Environment"]["Variables"]
    assert environment.keys() <= DEFAULTS.keys()
    assert environment.get("RISKLINE_CHANNEL", "") == FUNCTIONS[name]
    assert front({key: str(value) for key, value in environment.items()})
    assert TEMPLATE[name]["Handler"] == f"{handler.__module__}.{handler.__name__}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_waits_longer_than_it_lets_the_endpoint_take(name: str) -> None:
    assert float(DEFAULTS["RISKLINE_TIMEOUT_S"]) < int(TEMPLATE[name]["Timeout"]) <= (8 if name == "Phone" else 29)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_caller_may_call_it(name: str) -> None:
    permission = TEMPLATE[CALLED_BY[name]]
    assert (permission["FunctionName"], permission["Action"]) == (f"→ {name}", "lambda:InvokeFunction")
    assert permission["SourceArn"] in (*CALLERS.values(), made("channels")["ApiMayCall"]["SourceArn"])


def test_there_is_no_function_that_nobody_calls() -> None:
    there = {name for name, each in made("channels").items() if "Runtime" in each}
    assert there == {"Http"}
    assert {name for name in made("channels") if "MayCall" in name} == {"ApiMayCall"}


def test_the_address_has_a_route_for_every_channel_and_callers_sign() -> None:
    assert TEMPLATE["Channel"]["RouteKey"] == "POST /channels/{channel}"
    assert TEMPLATE["Channel"]["AuthorizationType"] == "AWS_IAM"
    assert TEMPLATE["ApiMayCall"]["SourceArn"].endswith("/POST/channels/{channel}")
    assert {name for name in FUNCTIONS.values() if name} <= forms.FORMS.keys()


def test_the_access_log_says_who_asked_and_never_what() -> None:
    line: dict[str, str] = json.loads(TEMPLATE["Stage"]["AccessLogSettings"]["Format"])
    assert {"time", "request_id", "caller", "status", "function_status"} < line.keys()
    # error messages of API Gateway quote what they are about
    assert all(re.fullmatch(r"\$context\.(?!error)[\w.]+", value) for value in line.values())
