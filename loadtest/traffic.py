"""What the load test sends and what must come back: request bodies and the judgement of answers. No locust in here.

A judgement is one sentence that says what is wrong with an answer, or "" where it is right.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.policy import TIERS
from preprocessing.encode import FIELDS
from preprocessing.fields import Number

APPLICATIONS = Path(__file__).parent.parent / "model" / "data" / "applications.csv"

Values = Mapping[str, float | str]


def read_applications(path: Path = APPLICATIONS) -> list[Values]:
    """The applications of a CSV as a caller would send them: an empty cell is a field left out."""
    with path.open(encoding="utf-8", newline="") as file:
        return [_values(row) for row in csv.DictReader(file)]


def without_a_required_field(applications: Sequence[Values]) -> list[Values]:
    """Each application without one of its required fields, each field in its turn: all of them must be refused."""
    required = [field.name for field in FIELDS if field.required]
    assert required, "the load test refuses applications by a required field, and the schema requires none"
    return [
        {name: value for name, value in application.items() if name != required[number % len(required)]}
        for number, application in enumerate(applications)
    ]


def application_body(application: Values) -> str:
    return json.dumps(application)


def batch_body(applications: Sequence[Values]) -> str:
    return json.dumps({"applications": applications})


def wrong_with_score(status: int, body: str | None) -> str:
    """Judges the answer to one valid application."""
    return _wrong_with_status(status, 200, body) or _wrong_with_tier(_parsed(body))


def wrong_with_results(status: int, body: str | None, sent: int) -> str:
    """Judges the answer to a batch of `sent` valid applications."""
    if wrong := _wrong_with_status(status, 200, body):
        return wrong
    answer = _parsed(body)
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != sent:
        return f"not as many results as the {sent} applications"
    return next((wrong for result in results if (wrong := _wrong_with_tier(result))), "")


def wrong_with_refusal(status: int, body: str | None) -> str:
    """Judges the answer to an application that lacks a required field."""
    return _wrong_with_status(status, 422, body)


def _values(row: Mapping[str, str]) -> Values:
    return {
        field.name: float(cell) if isinstance(field.kind, Number) else cell
        for field in FIELDS
        if (cell := row.get(field.name))
    }


def _wrong_with_status(status: int, expected: int, body: str | None) -> str:
    if status == expected:
        return ""
    # without the message: locust lists each different sentence as an error of its own
    answer = _parsed(body)
    code = answer.get("error", "") if isinstance(answer, dict) else ""
    return f"status {status} instead of {expected} {code}".rstrip()


def _wrong_with_tier(score: object) -> str:
    if isinstance(score, dict) and score.get("tier") in TIERS:
        return ""
    return f"no tier out of {', '.join(TIERS)}"


def _parsed(body: str | None) -> Any:
    try:
        return json.loads(body or "")
    except ValueError:
        return None
