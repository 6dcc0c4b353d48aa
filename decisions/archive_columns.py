"""A decision as a row of the archive: what SQL asks for in typed columns, and the two texts that prove it.

The columns are flat, and the application's begin with `application_`, so that no field's name meets another column's
and every engine reads them alike. `facts` and `personal` are the texts that were hashed: with `digest` and `hash` they
make the archive a whole copy, which can be verified by itself.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from decisions.record import Record
from preprocessing.encode import FIELDS
from preprocessing.fields import Number

APPLICATION = "application_"
_TIME = pa.timestamp("ms")
_FACTS = {
    "id": pa.string(),
    "time": _TIME,  # in UTC; without saying so, since engines differ in what they make of a time zone
    "channel": pa.string(),
    "probability": pa.float64(),
    "tier": pa.string(),
    "points": pa.int32(),
    "model_version": pa.string(),
    "policy_version": pa.string(),
    "schema_version": pa.string(),
    "artifact": pa.string(),
    "request_id": pa.string(),
    "seconds": pa.float64(),
}
_FIELDS = {
    APPLICATION + field.name: pa.float64() if isinstance(field.kind, Number) else pa.string() for field in FIELDS
}
_PROOF = {"chain": pa.string(), "number": pa.int64(), "hash": pa.string(), "digest": pa.string(), "facts": pa.string()}
# what goes when an applicant is to be forgotten
_OF_DECISIONS = {
    **_FIELDS, "warnings": pa.list_(pa.string()), "reasons": pa.list_(pa.string()), "personal": pa.string(),
}  # fmt: skip
_WHOLE = ("personal", "note")  # null once it is forgotten: the text of a decision, and a reviewer's
_PERSONAL = {*_OF_DECISIONS, *_WHOLE}
SCHEMA = pa.schema({**_FACTS, **_OF_DECISIONS, **_PROOF})
SCHEMAS: Mapping[str, pa.Schema] = {
    "decisions": SCHEMA,
    "reviews": pa.schema(
        {"id": pa.string(), "time": _TIME, "reviewer": pa.string(), "verdict": pa.string(), "note": pa.string()}
    ),
    "outcomes": pa.schema({"id": pa.string(), "time": _TIME, "outcome": pa.string(), "date": pa.date32()}),
}
_DAY_DIGITS = len("2026-11-24")
_FACTS_PLACE, _TIME_PLACE = 3, 1  # in a row of the store
_AT_ONCE = 4096  # records whose JSON is in memory as objects


def tables(dataset: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, pa.Table]:
    """Rows of the store as tables of the archive, by the day of their time in UTC, in the order in which they come."""
    days: dict[str, list[tuple[Any, ...]]] = {}
    is_decision = dataset == "decisions"
    for row in rows:
        time = json.loads(row[_FACTS_PLACE])["time"] if is_decision else row[_TIME_PLACE]
        days.setdefault(time[:_DAY_DIGITS], []).append(row)
    if is_decision:
        return {day: as_table([Record(*row) for row in some]) for day, some in days.items()}
    return {day: _as_said(SCHEMAS[dataset], some) for day, some in days.items()}


def _as_said(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """What people said of decisions. A date has no time, and a time no zone."""
    parse = {pa.date32(): date.fromisoformat, _TIME: _without_zone}
    columns = {
        field.name: [parse[field.type](value) if field.type in parse else value for value in column]
        for field, column in zip(schema, zip(*rows, strict=True), strict=True)
    }
    return pa.table(columns, schema=schema)


def _without_zone(time: str) -> datetime:
    return datetime.fromisoformat(time).replace(tzinfo=None)


def as_table(records: Sequence[Record]) -> pa.Table:
    """A row for each record. A field that another schema meant otherwise is null; `personal` has what was said."""
    pieces = [_as_table(records[start : start + _AT_ONCE]) for start in range(0, len(records), _AT_ONCE)]
    return pa.concat_tables(pieces).combine_chunks()


def _as_table(records: Sequence[Record]) -> pa.Table:
    facts = [json.loads(record.facts) for record in records]
    persons = [json.loads(record.personal or "{}") for record in records]
    columns: dict[str, list[Any]] = {name: [fact.get(name) for fact in facts] for name in _FACTS}
    columns["time"] = [_without_zone(time) for time in columns["time"]]
    for name, type_ in _FIELDS.items():
        is_fit: Callable[[Any], bool] = _is_word if type_ == pa.string() else _is_number
        values = [person.get("application", {}).get(name.removeprefix(APPLICATION)) for person in persons]
        columns[name] = [value if is_fit(value) else None for value in values]
    columns["warnings"] = [_names(person.get("warnings"), "{field}:{code}") for person in persons]
    columns["reasons"] = [_names(person.get("reasons"), "{code}") for person in persons]
    for name in ("personal", "chain", "number", "facts"):
        columns[name] = [getattr(record, name) for record in records]
    for name in ("hash", "digest"):
        columns[name] = [getattr(record, name).hex() for record in records]
    return pa.table(columns, schema=SCHEMA)


def without(table: pa.Table, ids: Collection[str]) -> tuple[pa.Table, int]:
    """The table with the personal columns of these decisions null, and in how many rows they were not yet."""
    to_go = pc.is_in(table["id"], pa.array(list(ids), pa.string()))
    count = 0
    for place, field in enumerate(table.schema):
        if field.name in _PERSONAL or field.name.startswith(APPLICATION):
            if field.name in _WHOLE:
                count = pc.sum(pc.and_(to_go, table[field.name].is_valid())).as_py() or 0
            table = table.set_column(place, field, pc.if_else(to_go, pa.scalar(None, field.type), table[field.name]))
    return table, count


def records_of(table: pa.Table) -> list[Record]:
    """The way back, for those who want to verify an archive."""
    names = ["chain", "number", "hash", "facts", "personal", "digest"]
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return [
        Record(chain, number, bytes.fromhex(hash_), facts, personal, bytes.fromhex(digest))
        for chain, number, hash_, facts, personal, digest in rows
    ]


def _names(items: Sequence[Mapping[str, Any]] | None, form: str) -> list[str] | None:
    return None if items is None else [form.format(**item) for item in items]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_word(value: Any) -> bool:
    return isinstance(value, str)
