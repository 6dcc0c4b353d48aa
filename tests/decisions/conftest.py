"""The stand-in for DynamoDB, with the table that decisions/dynamodb.py expects."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.lab.debian import LabError
from tests.lab.dynamodb import NOBODY, Dynalite, Proxy, installed
from tests.lab.lacking import cannot_run

TABLE = "decisions"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and region of no account."""
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def dynalite(nobody: None, tmp_path: Path) -> Iterator[Dynalite]:  # noqa: ARG001
    """A DynamoDB of the test's own, with the table; skips where there can be none."""
    try:
        installed()
    except LabError as error:
        cannot_run(error)
    running = Dynalite(tmp_path / "dynalite")
    make_table(running, TABLE, "id")
    yield running
    running.kill()


@pytest.fixture
def proxy(dynalite: Dynalite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands between DynamoDB and whoever is made while the test runs."""
    before = Proxy(dynalite)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", before.url)
    yield before
    before.close()


def make_table(dynalite: Dynalite, name: str, key: str) -> None:
    boto3.client("dynamodb", endpoint_url=dynalite.url).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def items(dynalite: Dynalite) -> dict[str, dict[str, Any]]:
    """Everything in the table, by id; values without their types."""
    pages = boto3.client("dynamodb", endpoint_url=dynalite.url).get_paginator("scan").paginate(TableName=TABLE)
    return {
        item["id"]["S"]: {name: next(iter(value.values())) for name, value in item.items()}
        for page in pages
        for item in page["Items"]
    }
