"""One decision as it is kept: two JSON texts and a place in a chain of hashes.

    facts       id, time, channel, versions, request, probability, tier, points, why a person should look at it:
                what stays for ever
    personal    salt, application, warnings, reasons, what a channel sent: what is taken away when an applicant is to be
                forgotten
    hash        sha256(hash of the record before ‖ sha256(personal) ‖ facts)

The texts are hashed and kept as they were first written, so nothing depends on how JSON is written later. The salt
keeps an erased application from being guessed by its hash. A chain is what one worker wrote from one opening to the
next; its first record has no applicant, and names the heads of the chains that have grown since another opening.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import repeat
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from decisions.errors import UnreadableRecord
from model.artifact import Artifact
from model.policy import TIERS, Why
from model.storage import MANIFEST, sha256
from preprocessing.encode import SCHEMA_VERSION, Codes
from preprocessing.plain import plain

Channel = Literal["api", "webform", "mobile", "chatbot", "phone", "mail"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
BEFORE_ALL = bytes(32)  # what stands for the hash before a chain's first record
_SALT_BYTES = 16
# What people have said of a decision: nobody need, somebody should, or the verdict of all who did
State = Literal["", "queued", "approved", "declined", "conflict"]


class Origin(NamedTuple):
    """Where an application came from; `started` is perf_counter's, at its arrival. `trace_id` is its caller's.

    `source` is what a channel sent for it, as a JSON object: where each value came from, and the payload's hash.
    """

    channel: Channel
    request_id: str
    started: float
    trace_id: str = ""
    source: bytes = b""


class Place(NamedTuple):
    """How far a chain is: the number of its newest record, counted from 0 for the opening, and that record's hash."""

    number: int
    hash: bytes


class Versions(NamedTuple):
    """What decides beside the application; the artefact by its manifest's whole sha256."""

    model_version: str
    policy_version: str
    schema_version: str
    artifact: str

    @classmethod
    def of(cls, artifact: Artifact) -> "Versions":
        manifest = sha256(artifact.files[MANIFEST])
        return cls(artifact.model_version, artifact.policy_version, SCHEMA_VERSION, manifest)


class Entry(NamedTuple):
    """A decision before it has its place in a chain; what of its facts is looked for stands beside them."""

    id: str
    time: str
    channel: str
    tier: str
    model_version: str
    state: State
    facts: bytes
    personal: bytes


FACTS, PERSONAL = "facts", "personal part"  # of a record, as errors call them


class Kept(NamedTuple):
    """A decision's two texts; `personal` is None once it is forgotten."""

    facts: bytes | str
    personal: bytes | str | None


class Line(NamedTuple):
    """A record in its place; `digest` is the sha256 of its personal part."""

    entry: Entry
    digest: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Decided:
    """A scored batch as the log takes it: columns of equal length. Rows in `refused` were not decided.

    `review` says why a person should look at a row. `warnings` and `reasons` are JSON arrays by row. Ids in the rows
    that `named` lists were given by callers, who may give them again.
    """

    ids: Sequence[str]
    codes: Codes
    probability: Sequence[float]
    tier: Sequence[int]
    points: Sequence[int]
    review: Sequence[Sequence[Why]]
    warnings: Mapping[int, str]
    reasons: Mapping[int, str]
    refused: Collection[int]
    named: Collection[int]
    origins: Sequence[Origin]
    versions: Versions


class _Facts(msgspec.Struct, gc=False, omit_defaults=True):
    id: str
    time: str
    channel: str
    model_version: str
    policy_version: str
    schema_version: str
    artifact: str
    request_id: str
    seconds: float
    probability: float
    tier: str
    points: int
    review: Sequence[str]
    named: bool = False  # by its caller: then the id may come up on another machine too


class _Opening(msgspec.Struct):
    opening: str
    time: str
    heads: dict[str, tuple[int, str]]


class _Personal(msgspec.Struct, gc=False):
    salt: str
    application: msgspec.Struct
    warnings: msgspec.Raw
    reasons: msgspec.Raw
    source: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_ENCODER = msgspec.json.Encoder()


def entries(decided: Decided, now: datetime, at: float) -> dict[int, Entry]:
    """Each decided row as it is recorded. `now` is the time that the record gives, `at` the same on perf_counter."""
    rows, time = len(decided.ids), written(now)
    channels = [origin.channel for origin in decided.origins]
    tiers = [TIERS[tier] for tier in decided.tier]
    facts = map(
        _Facts,
        decided.ids,
        repeat(time),
        channels,
        *map(repeat, decided.versions),
        [origin.request_id for origin in decided.origins],
        [round(at - origin.started, 6) for origin in decided.origins],
        decided.probability,
        tiers,
        decided.points,
        decided.review,
        [row in decided.named for row in range(rows)] if decided.named else repeat(False),
    )
    salts = os.urandom(_SALT_BYTES * rows).hex()
    personal = map(
        _Personal,
        [salts[at : at + 2 * _SALT_BYTES] for at in range(0, len(salts), 2 * _SALT_BYTES)],
        plain(decided.codes),
        _column(decided.warnings, _NO_WARNINGS, rows),
        _column(decided.reasons, _NO_REASONS, rows),
        [msgspec.Raw(origin.source) if origin.source else msgspec.UNSET for origin in decided.origins],
    )
    states: list[State] = ["queued" if why else "" for why in decided.review]
    model_version = repeat(decided.versions.model_version)
    made = map(
        Entry, decided.ids, repeat(time), channels, tiers, model_version, states, _lines(facts), _lines(personal)
    )
    return {row: entry for row, entry in enumerate(made) if row not in decided.refused}


_NO_WARNINGS, _NO_REASONS = msgspec.Raw(b"[]"), msgspec.Raw(b"null")


def _column(given: Mapping[int, str], nothing: msgspec.Raw, rows: int) -> list[msgspec.Raw]:
    column = [nothing] * rows
    for row, text in given.items():
        column[row] = msgspec.Raw(text.encode())
    return column


def _lines(records: Iterable[msgspec.Struct]) -> list[bytes]:
    """Each record as JSON."""
    return _ENCODER.encode_lines(list(records)).split(b"\n")[:-1]


def opening(chain: str, now: datetime, heads: Mapping[str, Place]) -> Line:
    """A chain's first record: it signs where other chains stood."""
    time = written(now)
    facts = _Opening(chain, time, {other: (head.number, head.hash.hex()) for other, head in heads.items()})
    return chained(BEFORE_ALL, Entry("", time, "", "", "", "", _ENCODER.encode(facts), b""))


def chained(before: bytes, entry: Entry) -> Line:
    """The record in its place after the one whose hash is `before`."""
    digest = hashlib.sha256(entry.personal).digest()
    return Line(entry, digest, hash_of(before, entry.facts, digest))


def hash_of(before: bytes, facts: bytes, digest: bytes) -> bytes:
    """A record's hash; `digest` is the sha256 of its personal part, which may be all that is left of it."""
    return hashlib.sha256(before + digest + facts).digest()


def written(time: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Record:
    """A decision as a store gives it back. `personal` is None once it is forgotten; its `digest` stays."""

    chain: str
    number: int
    hash: bytes
    facts: str
    personal: str | None
    digest: bytes

    @cached_property
    def fact(self) -> dict[str, Any]:
        """`facts` as an object; UnreadableRecord where they are none."""
        return as_object(self.facts, FACTS)

    @cached_property
    def person(self) -> dict[str, Any] | None:
        """`personal` as an object; UnreadableRecord where it is none."""
        return None if self.personal is None else as_object(self.personal, PERSONAL)

    @property
    def id(self) -> str:
        return str(self.fact["id"])

    @property
    def named(self) -> bool:
        """Whether a caller chose the id."""
        return "named" in self.fact


def as_object(text: bytes | str, what: str) -> dict[str, Any]:
    """One of a record's two texts; UnreadableRecord where it is no JSON object."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise unreadable(what)
    return found


def unreadable(what: str) -> UnreadableRecord:
    return UnreadableRecord(f"the record's {what} cannot be read: it was changed (python -m decisions.verify)")
