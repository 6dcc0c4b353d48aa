"""The archive for AWS: its columns in every file, the template by cfn-lint, and the rows that its stream makes."""

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from decisions.archive_columns import SCHEMA, SCHEMAS, as_table
from decisions.archive_tables import FILES, FOLDER, File, with_columns
from decisions.places import STORE
from decisions.record import Record
from decisions.sqlite import SQLiteStore
from loadtest.bench_environments import python_of
from model.artifact import Artifact
from tests.decisions.decided import stored
from tests.deploy.templates import ROOT, Loader

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STREAM = FOLDER / "stream.yaml"
WITHIN_S = 300


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_files_name_the_columns_that_the_archive_has(file: File) -> None:
    assert with_columns(file) == (FOLDER / file.name).read_text()
    lines = {line.rstrip(",") for line in with_columns(file).splitlines()}
    for schema in SCHEMAS.values():
        assert lines >= {file.column.format(field.name, file.types[field.type]).rstrip(",") for field in schema}


@pytest.mark.slow
def test_cfn_lint_finds_nothing_in_the_template_and_a_mistake_in_a_copy(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(STREAM.read_text().replace("BufferingHints:", "BufferHints:"))
    lint = python_of(ROOT / "tests" / "deploy" / "stand_in").with_name("cfn-lint")
    command = [str(lint), "--format", "json", "--include-checks", "I", "--", str(STREAM), str(wrong)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S).stdout)
    assert {(each["Filename"], each["Rule"]["Id"]) for each in found} == {(str(wrong), "E3002")}


def test_a_streamed_decision_is_the_row_that_an_archived_one_is(artifact: Artifact, tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / STORE)
    ids = stored(store, "a", artifact, [NOON, NOON + timedelta(seconds=1)], channel="phone")
    records = list(store.get(ids).values())
    store.close()
    assert any((record.person or {})["reasons"] for record in records)
    event = {"records": [{"recordId": record.id, "data": as_change(record)} for record in records]}
    for record, answer in zip(records, handler(event)["records"], strict=True):
        assert (answer["recordId"], answer["result"]) == (record.id, "Ok")
        assert answer["metadata"] == {"partitionKeys": {"day": "2026-11-24"}}
        row = json.loads(base64.b64decode(answer["data"]))
        [expected] = as_table([record]).to_pylist()
        row["time"] = datetime.fromisoformat(row["time"]).replace(tzinfo=None)
        assert {name: row[name] for name in SCHEMA.names} == expected


def as_change(record: Record) -> str:
    """The record as DynamoDB's stream tells of it, in the form in which it gets to the function."""
    item = {
        "id": {"S": record.id},
        "chain": {"S": record.chain},
        "number": {"N": str(record.number)},
        "facts": {"S": record.facts},
        "personal": {"S": record.personal},
        "hash": {"B": base64.b64encode(record.hash).decode()},
        "digest": {"B": base64.b64encode(record.digest).decode()},
    }
    return base64.b64encode(json.dumps({"eventName": "INSERT", "dynamodb": {"NewImage": item}}).encode()).decode()


def handler(event: dict[str, Any]) -> dict[str, Any]:
    """What the template's function makes of the event."""
    code = yaml.load(STREAM.read_text(), Loader)["Resources"]["Rows"]["Properties"]["Code"]["ZipFile"]  # noqa: S506 - a SafeLoader
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the function that the template deploys
    answer: dict[str, Any] = names["handler"](event, None)
    return answer
