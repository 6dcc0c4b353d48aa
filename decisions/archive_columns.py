"""A decision as a row of the archive: what SQL asks for in typed columns, and the two texts that prove it.

The columns are flat, and the application's begin with `application_`, so that no field's name meets another column's
and every engine reads them alike. `facts` and `personal` are the texts that were hashed: with `digest` and `hash` they
make the archive a whole copy, which can be verified by itself.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from decisions.record import Record
from preprocessing.encode import FIELDS
from preprocessing.fields import Number

APPLICATION = "application_"
_FACTS = {
    "id": pa.string(),
    "time": pa.timestamp("ms"),  # in UTC; without saying so, since engines differ in what they make of a time zone
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
_PERSONAL = {**_FIELDS, "warnings": pa.list_(pa.string()), "reasons": pa.list_(pa.string()), "personal": pa.string()}
SCHEMA = pa.schema({**_FACTS, **_PERSONAL, **_PROOF})
DAY_DIGITS = len("2026-11-24")
_AT_ONCE = 4096  # records whose JSON is in memory as objects


def by_day(records: Sequence[Record]) -> Mapping[str, Sequence[Record]]:
    """The records by the day of their time in UTC, in the order in which they come."""
    days: dict[str, list[Record]] = {}
    for record in records:
        days.setdefault(json.loads(record.facts)["time"][:DAY_DIGITS], []).append(record)
    return days


def as_table(records: Sequence[Record]) -> pa.Table:
    """A row for each record. A field that another schema meant otherwise is null; `personal` has what was said."""
    pieces = [_as_table(records[start : start + _AT_ONCE]) for start in range(0, len(records), _AT_ONCE)]
    return pa.concat_tables(pieces).combine_chunks()


def _as_table(records: Sequence[Record]) -> pa.Table:
    facts = [json.loads(record.facts) for record in records]
    persons = [json.loads(record.personal or "{}") for record in records]
    columns: dict[str, list[Any]] = {name: [fact.get(name) for fact in facts] for name in _FACTS}
    columns["time"] = [datetime.fromisoformat(time).replace(tzinfo=None) for time in columns["time"]]
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
    """The table with the personal columns of these decisions null, and of how many they were not yet."""
    to_go = pc.is_in(table["id"], pa.array(list(ids), pa.string()))
    count = pc.sum(pc.and_(to_go, table["personal"].is_valid())).as_py() or 0
    for place, field in enumerate(table.schema):
        if field.name in _PERSONAL or field.name.startswith(APPLICATION):
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
