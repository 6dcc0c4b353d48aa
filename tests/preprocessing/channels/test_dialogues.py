"""What all dialogues have in common: hostile sizes, and another table than the bundled one."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.channel_payloads import connect_event, dialogflow_request, lex_event, slot
from preprocessing.channels import connect, dialogflow, lex
from preprocessing.channels.collected import Collected
from preprocessing.channels.names import camel, pascal
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from tests.preprocessing.channels.dialogues import is_json, payload, tolds

ROOT = Path(__file__).parents[3]
NAME = FIELDS[0].name
MANY = 5_000
MARK = '"@"'  # where something stands that json.dumps would not write
EVENTS: dict[str, tuple[Any, Callable[[object], Any]]] = {
    "lex": (lex, lambda value: lex_event({pascal(NAME): {"value": {"interpretedValue": value}}})),
    "dialogflow": (dialogflow, lambda value: dialogflow_request({NAME: value}, {NAME: [value]})),
    "connect": (connect, lambda value: connect_event({camel(NAME): value}, {})),
}
DIALECTS = pytest.mark.parametrize("dialect", EVENTS)


def read(dialect: str, value: str) -> Collected:
    """The event of a dialect with one value, given as raw JSON."""
    module, event = EVENTS[dialect]
    collected: Collected = module.read(payload(json.dumps(event("@")).replace(MARK, value).encode()), 0.9)
    for told in tolds(collected):
        assert is_json(module.answer(collected, told))
    return collected


@DIALECTS
@pytest.mark.parametrize("depth", [10, 300, 900, 100_000])
def test_a_value_may_be_nested_as_deep_as_it_likes(dialect: str, depth: int) -> None:
    assert isinstance(read(dialect, "[" * depth + "]" * depth).row, InvalidApplication)
    assert isinstance(read(dialect, '{"values":' * depth + "1" + "}" * depth).row, InvalidApplication)


@DIALECTS
@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", "1e999", "9" * 4000, "9" * 5000, '"\\ud800"', '"\\u0000"', "null"]
)
def test_a_value_may_be_what_no_json_knows(dialect: str, value: str) -> None:
    assert isinstance(read(dialect, value).row, InvalidApplication)


@pytest.mark.parametrize(
    ("module", "event"),
    [
        (lex, lex_event({NAME: {"shape": "List", "values": [slot(str(n)) for n in range(MANY)]}})),
        (lex, lex_event({f"slot{n}": slot("1") for n in range(MANY)} | {NAME: None})),
        (dialogflow, dialogflow_request({NAME: [*range(MANY)]}, {})),
        (dialogflow, dialogflow_request({f"p{n}": n for n in range(MANY)}, {f"p{n}": n for n in range(MANY)})),
        (connect, connect_event({f"a{n}": "1" for n in range(MANY)}, {f"a{n}": "1" for n in range(MANY)})),
    ],
    ids=["values", "slots", "list", "parameters", "attributes"],
)
def test_megabytes_are_read_once(module: Any, event: object) -> None:
    collected = module.read(payload(event), 0.9)
    assert len(collected.source()) < 20_000
    for told in tolds(collected):
        assert is_json(module.answer(collected, told))


SECOND = """
from preprocessing.channels import connect, dialogflow, lex
from preprocessing.schema import Application
from tests.generated import EXAMPLE
from loadtest import channel_payloads as w
from tests.preprocessing.channels import dialogues as d

written = {lex: w.write_lex(EXAMPLE), dialogflow: w.write_dialogflow(EXAMPLE), connect: w.write_connect(EXAMPLE)}
for module, body in written.items():
    collected = module.read(d.payload(body), 0.9)
    assert collected.row == Application.model_validate(EXAMPLE), collected.row
    nothing = module.read(d.payload(b"{}"), 0.9)
    assert all(d.is_json(module.answer(one, told)) for one in (collected, nothing) for told in d.tolds(one))
said = connect.read(d.payload(w.connect_event({}, {
    "machine": "printing press", "Age of the machine": "zwei Komma fünf", "listValue": "84.5 thousand euros",
    "deposit": "zwölf", "lease_months": "vier Jahre", "payment-history": "SPOTLESS", "profit": "minus acht Komma fünf",
}, "de-DE")), 0.9)
print(said.row.model_dump_json(exclude_none=True))
"""


def test_another_table_is_talked_about_as_well(tmp_path: Path) -> None:
    for folder in ("preprocessing", "tests/preprocessing/channels"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests/generated.py", tmp_path / "tests")
    (tmp_path / "loadtest").mkdir()
    for name in ("channel_payloads.py", "channel_paper.py"):
        shutil.copy(ROOT / "loadtest" / name, tmp_path / "loadtest")
    for name in ("schema.py", "features.py"):
        shutil.copy(ROOT / "tests/second_table" / name, tmp_path / "preprocessing")
    ran = subprocess.run([sys.executable, "-c", SECOND], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "machine": "press",
        "machine_age": 2.5,
        "list_value": 84.5,
        "deposit": 12,
        "lease_months": 48,
        "payment_history": "spotless",
        "profit": -8.5,
    }
