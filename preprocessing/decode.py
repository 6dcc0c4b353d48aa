"""First step of an application's way: a request's bytes → applications, valid or refused, in the caller's order.

pydantic's Rust core parses and validates in one pass. Only a body that fails is looked at again, slowly and precisely.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, core_schema, from_json, to_json

from preprocessing.encode import FIELDS, Row
from preprocessing.errors import (
    LONGEST_NAME_REPEATED,
    BatchTooLarge,
    InvalidApplication,
    InvalidBatch,
    MalformedBody,
    Problem,
    RisklineError,
)
from preprocessing.schema import Application

_FIELD = {field.name: field for field in FIELDS}
# pydantic's error types → the closed set of rules in our answers; what is not here is the rule "type"
_RULES = {
    "missing": "required",
    "extra_forbidden": "unknown",
    "greater_than_equal": "range",
    "less_than_equal": "range",
    "less_than": "range",
    "multiple_of": "whole",
    "finite_number": "finite",
    "literal_error": "category",
    "string_too_short": "length",
    "string_too_long": "length",
    "json_invalid": "json",
}
RULES = (*sorted(set(_RULES.values())), "ambiguous", "columns", "duplicate", "object", "payload", "type")


def rule_of(error_type: str) -> str:
    """The rule that a pydantic error of this type is about."""
    return _RULES.get(error_type, "type")


class _NoneIfRefused:
    """Turns a row that breaks the schema into None instead of failing the whole list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


class _Batch(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    applications: list[Annotated[Application, _NoneIfRefused()]]


def decode_application(body: bytes) -> list[Row]:
    """A JSON object with one application → a list of one row; MalformedBody when the bytes are no JSON."""
    try:
        application = Application.model_validate_json(body)
    except ValidationError as error:
        return [_refused(error)]
    # As many colons as fields: every key came once. More: a key came twice, or a word contains a colon.
    if body.count(b":") != len(application.model_fields_set) and (twice := _duplicate_keys(_pairs(body))):
        return [InvalidApplication(twice)]
    return [application]


def judged(values: Mapping[str, object]) -> Row:
    """An application whose fields somebody has taken out of another form: valid, or what is wrong with it."""
    try:
        return Application.model_validate(values)
    except ValidationError as error:
        return _refused(error)


def decode_batch(body: bytes, most_rows: int | None = None) -> list[Row]:
    """`{"applications": [...]}` → one row for each element, in order.

    Raises MalformedBody when the bytes are no JSON, InvalidBatch when the envelope is wrong, BatchTooLarge above
    `most_rows`. A refused row costs only itself.
    """
    try:
        valid = cast(list[Application | None], _Batch.model_validate_json(body).applications)
    except ValidationError as error:
        raise _envelope_error(error) from None
    if most_rows is not None and len(valid) > most_rows:  # before each refused row is looked at again
        raise BatchTooLarge.of(len(valid), most_rows, "RISKLINE_MAX_ROWS")
    refused = [index for index, row in enumerate(valid) if row is None]  # `None in valid` would ask pydantic's __eq__
    if not refused:
        rows = cast(list[Row], valid)
    else:
        elements = from_json(body)["applications"]
        rows = [row if row is not None else reason_for_refusal(elements[index]) for index, row in enumerate(valid)]
    keys = 1 + sum([len(row.model_fields_set) for row in rows if isinstance(row, Application)])
    if body.count(b":") != keys:
        rows = _refuse_duplicate_keys(body, rows)
    return rows


def decode_lines(lines: Sequence[bytes]) -> list[Row]:
    """JSON Lines, one application a line → one row for each line; a line that is no JSON costs only itself."""
    if all(line.startswith(b"{") for line in lines):
        # As one array, which is twice as fast. When every row of it is valid, and so holds no brace of its own, as many
        # rows as lines means that each line was one row.
        try:
            rows = decode_batch(b'{"applications":[' + b",".join(lines) + b"]}")
        except RisklineError:
            rows = []
        if len(rows) == len(lines) and all(isinstance(row, Application) for row in rows):
            return rows
    return [_line(line) for line in lines]


def _line(line: bytes) -> Row:
    try:
        [row] = decode_application(line)
    except MalformedBody as error:
        return InvalidApplication([Problem("", "json", error.message)])
    return row


def reason_for_refusal(element: object) -> InvalidApplication:
    """What is wrong with one element of a batch that breaks the schema."""
    try:
        Application.model_validate_json(to_json(element, inf_nan_mode="constants"))
    except ValidationError as error:
        return _refused(error)
    raise AssertionError("a row that failed in its batch is valid alone: this is a bug")


def _refused(error: ValidationError) -> InvalidApplication:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        raise _malformed(errors[0]) from None
    return InvalidApplication([_problem(detail) for detail in errors])


def _envelope_error(error: ValidationError) -> MalformedBody | InvalidBatch:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        return _malformed(errors[0])
    return InvalidBatch(
        'the body must be {"applications": [...]} and nothing else',
        [Problem(_name(detail), rule_of(detail["type"]), detail["msg"][:200]) for detail in errors],
    )


def _malformed(detail: ErrorDetails) -> MalformedBody:
    # jiter's message tells what and where ("EOF while parsing a value at line 1 column 0"), never the text itself
    return MalformedBody("the body is not valid UTF-8 JSON: " + detail["msg"].removeprefix("Invalid JSON: "))


def _problem(detail: ErrorDetails) -> Problem:
    rule, name = rule_of(detail["type"]), _name(detail)
    if not detail["loc"]:
        return Problem("", "object", "an application must be a JSON object")
    if rule == "unknown":
        return Problem(name, rule, "this field is not part of an application")
    kind = _FIELD[name].kind
    if rule == "required":
        return Problem(name, rule, f"{kind.label} is required and must be {kind.rule}")
    return Problem(name, rule, f"{kind.label} must be {kind.rule}")


def _name(detail: ErrorDetails) -> str:
    return str(detail["loc"][0])[:LONGEST_NAME_REPEATED] if detail["loc"] else ""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys as they came, repeated ones included."""


def _pairs(body: bytes) -> Any:
    return json.loads(body, object_pairs_hook=_Pairs)


def _duplicate_keys(element: object) -> list[Problem]:
    if not isinstance(element, _Pairs):
        return []
    counts = Counter(key for key, _ in element)
    return [
        Problem(key[:LONGEST_NAME_REPEATED], "duplicate", "this field was sent more than once")
        for key, count in counts.items()
        if count > 1
    ]


def _refuse_duplicate_keys(body: bytes, rows: list[Row]) -> list[Row]:
    envelope = _pairs(body)
    if twice := _duplicate_keys(envelope):
        raise InvalidBatch('the body must be {"applications": [...]} and nothing else', twice)
    [(_, elements)] = envelope
    return [
        InvalidApplication(twice) if isinstance(row, Application) and (twice := _duplicate_keys(element)) else row
        for row, element in zip(rows, elements, strict=True)
    ]
