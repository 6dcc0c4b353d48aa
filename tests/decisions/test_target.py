"""What RISKLINE_STORE names is proved before the service starts; what is only away may come back."""

import sys

import pytest

from decisions.dynamodb import DynamoStore
from decisions.errors import StoreError
from decisions.target import prove, target
from loadtest.server import HOST, free_port
from tests.decisions.conftest import TABLE, make_table
from tests.lab.dynamodb import Dynalite, Proxy, Reply, Sent


def test_the_embedded_store_stands_alone() -> None:
    assert target("sqlite", 0) is None
    prove("sqlite")


def test_a_table_that_is_there_is_fine(proxy: Proxy) -> None:
    prove(f"dynamodb:{TABLE}")
    assert [operation for operation, _ in proxy.sent] == ["DescribeTable"]
    assert isinstance(target(f"dynamodb:{TABLE}", 0), DynamoStore)


def test_a_table_that_is_missing_or_anothers_is_named(proxy: Proxy, dynalite: Dynalite) -> None:
    make_table(dynalite, "theirs", "name")
    with pytest.raises(StoreError, match=r"no table missing in eu-central-1; deploy/sagemaker/decisions\.yaml makes"):
        prove("dynamodb:missing")
    with pytest.raises(StoreError, match="the table theirs in DynamoDB is another's"):
        prove("dynamodb:theirs")
    assert len(proxy.sent) == 2, "nothing is tried again that cannot change"


def test_what_is_not_allowed_is_named(proxy: Proxy) -> None:
    def forbidden(operation: str, sent: Sent) -> Reply:  # noqa: ARG001
        return Reply(400, {"__type": "com.amazon.coral.service#AccessDeniedException", "message": "not you"})

    proxy.behave = forbidden
    with pytest.raises(StoreError, match="refuses the table decisions: AccessDeniedException, not you"):
        prove(f"dynamodb:{TABLE}")


@pytest.mark.usefixtures("nobody")
def test_one_that_is_away_does_not_keep_the_service_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://{HOST}:{free_port()}")
    prove(f"dynamodb:{TABLE}")
    assert "DynamoDB does not answer" in caplog.text
    assert "decisions wait here for it" in caplog.text


@pytest.mark.usefixtures("nobody")
def test_without_a_region_or_credentials_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://{HOST}:{free_port()}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match="Unable to locate credentials"):
        prove(f"dynamodb:{TABLE}")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match="You must specify a region"):
        prove(f"dynamodb:{TABLE}")


def test_without_boto3_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "decisions.dynamodb")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StoreError, match=r"needs boto3: pip install -r requirements/dynamodb\.txt"):
        target(f"dynamodb:{TABLE}", 0)
