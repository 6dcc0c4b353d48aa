"""A decision as a row of the archive: what SQL asks for in typed columns, and the two texts that prove it.

The columns are flat, and the application's begin with `application_`, so that no field's name meets another column's
and every engine reads them alike. `facts` and `personal` are the texts that were hashed: with `digest` and `hash` they
let each chain be verified in the archive too.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, get_type_hints

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from decisions.errors import UnreadableRecord
from decisions.record import Record
from preprocessing.encode import FIELDS
from preprocessing.fields import Number

APPLICATION = "application_"


class _Facts(Struct, gc=False):
    """The facts as columns, in this order."""

    id: str
    time: datetime
    channel: str
    probability: float
    tier: str
    points: int
    model_version: str
    policy_version: str
    schema_version: str
    artifact: str
    request_id: str
    seconds: float


class _Review(Struct):
    id: str
    time: datetime
    reviewer: str
    verdict: str
    note: str


class _Outcome(Struct):
    id: str
    time: datetime
    outcome: str
    date: date


_TYPES = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int32(),
    datetime: pa.timestamp("ms"),  # in UTC; without saying so, since engines differ in what they make of a time zone
    date: pa.date32(),
}


def _typed(columns: type[Struct]) -> dict[str, pa.DataType]:
    return {name: _TYPES[type_] for name, type_ in get_type_hints(columns).items()}


_WORDS = pa.list_(pa.string())
_FIELDS = {
    APPLICATION + field.name: pa.float64() if isinstance(field.kind, Number) else pa.string() for field in FIELDS
}
_OF_DECISIONS = {**_FIELDS, "warnings": _WORDS, "reasons": _WORDS, "personal": pa.string()}
# what goes when an applicant is to be forgotten; of a row that has been forgotten, these are null
_TEXTS = ("personal", "note")
_PERSONAL = {*_OF_DECISIONS, *_TEXTS}
_PROOF = {"chain": pa.string(), "number": pa.int64(), "hash": pa.string(), "digest": pa.string(), "facts": pa.string()}
SCHEMA = pa.schema({**_typed(_Facts), **_OF_DECISIONS, **_PROOF})
SCHEMAS: Mapping[str, pa.Schema] = {
    "decisions": SCHEMA,
    "reviews": pa.schema(_typed(_Review)),
    "outcomes": pa.schema(_typed(_Outcome)),
}
_facts = Decoder(_Facts)
_AT_ONCE = 4096  # records whose JSON is in memory as objects


def tables(dataset: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, pa.Table]:
    """Rows of the store as tables of the archive, by the day of their time in UTC, in the order in which they come."""
    if dataset == "decisions":
        records = [Record(*row) for row in rows]
        days = _by_day([_fact_of(record).time for record in records])
        return {day: as_table([records[place] for place in places]) for day, places in days.items()}
    table = _as_said(SCHEMAS[dataset], rows)
    return {day: table.take(places) for day, places in _by_day(table[1].to_pylist()).items()}


def _by_day(times: Sequence[datetime]) -> Mapping[str, list[int]]:
    """The places of the times of each day."""
    days: dict[str, list[int]] = {}
    for place, time in enumerate(times):
        days.setdefault(f"{time:%Y-%m-%d}", []).append(place)
    return days


def _as_said(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """What people said of decisions."""
    parse: dict[pa.DataType, Callable[[str], date]] = {
        pa.date32(): date.fromisoformat,
        pa.timestamp("ms"): datetime.fromisoformat,
    }
    columns = {
        field.name: [parse[field.type](value) if field.type in parse else value for value in column]
        for field, column in zip(schema, zip(*rows, strict=True), strict=True)
    }
    return pa.table(columns, schema=schema)


def as_table(records: Sequence[Record]) -> pa.Table:
    """A row for each record. A field that another schema meant otherwise is null; `personal` has what was said."""
    pieces = [_as_table(records[start : start + _AT_ONCE]) for start in range(0, len(records), _AT_ONCE)]
    return pa.concat_tables(pieces).combine_chunks()


def _as_table(records: Sequence[Record]) -> pa.Table:
    facts = [_fact_of(record) for record in records]
    persons = [_person_of(record) for record in records]
    columns: dict[str, list[Any]] = {name: [getattr(fact, name) for fact in facts] for name in _Facts.__struct_fields__}
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
    [text] = [name for name in _TEXTS if name in table.column_names]
    count = pc.sum(pc.and_(to_go, table[text].is_valid())).as_py() or 0
    for place, field in enumerate(table.schema):
        # a field may be one of an earlier schema
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


def _fact_of(record: Record) -> _Facts:
    try:
        return _facts.decode(record.facts)
    except MsgspecError:
        raise _changed(record) from None


def _person_of(record: Record) -> Mapping[str, Any]:
    try:
        return record.person or {}
    except UnreadableRecord:
        raise _changed(record) from None


def _changed(record: Record) -> UnreadableRecord:
    return UnreadableRecord(
        f"chain {record.chain}, record {record.number} was changed and cannot be read (python -m decisions.verify): "
        "nothing from there on is archived"
    )


def _names(items: Sequence[Mapping[str, Any]] | None, form: str) -> list[str] | None:
    return None if items is None else [form.format(**item) for item in items]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_word(value: Any) -> bool:
    return isinstance(value, str)
