"""One decision as it is kept: two JSON texts and a place in a chain of hashes.

    facts       id, time, channel, probability, tier, points, why a person should look at it, versions, request:
                what stays for ever
    personal    salt, application, warnings, reasons: what is taken away when an applicant is to be forgotten
    hash        sha256(hash of the record before ‖ sha256(personal) ‖ facts)

The texts are hashed and kept as they were first written, so nothing depends on how JSON is written later. The salt
keeps an erased application from being guessed by its hash. A chain is what one worker wrote from one opening to the
next; its first record has no applicant, and names the heads of the chains that have grown since another opening.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

from model.artifact import Artifact
from model.policy import TIERS, WHYS, Why
from model.storage import MANIFEST, sha256
from preprocessing.encode import SCHEMA_VERSION, Codes
from preprocessing.plain import as_json

Channel = Literal["api", "webform", "mobile", "chatbot", "phone", "mail"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
BEFORE_ALL = bytes(32)  # what stands for the hash before a chain's first record
_SALT_BYTES = 16
# What people have said of a decision: nobody need, somebody should, or the verdict of all who did
State = Literal["", "queued", "approved", "declined", "conflict"]
_WHYS_JSON = {whys: json.dumps(whys, separators=(",", ":")) for whys in WHYS}


class Origin(NamedTuple):
    """Where an application came from. `request_id` is as JSON text; `started` is perf_counter's, at its arrival."""

    channel: Channel
    request_id: str
    started: float


class Place(NamedTuple):
    """How far a chain is: the number of its newest record, counted from 0 for the opening, and that record's hash."""

    number: int
    hash: bytes


class Versions(NamedTuple):
    """What decides beside the application: the model's version, and all versions as members of a JSON object."""

    model: str
    members: str


class Entry(NamedTuple):
    """A decision before it has its place in a chain; what of its facts is looked for stands beside them."""

    id: str
    time: str
    channel: str
    tier: str
    model_version: str
    state: State
    facts: str
    personal: str


class Kept(NamedTuple):
    """A decision's two texts; `personal` is None once it is forgotten."""

    facts: str
    personal: str | None


class Line(NamedTuple):
    """A record in its place; `digest` is the sha256 of its personal part."""

    entry: Entry
    digest: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Decided:
    """A scored batch as the log takes it: columns of equal length. Rows in `refused` were not decided.

    `review` says why a person should look at a row. `warnings` and `reasons` are JSON arrays by row. Ids in the rows
    that `named` lists were given by callers, who may give them again. `versions` are from `versions_of`.
    """

    ids: Sequence[str]
    codes: Codes
    probability: Sequence[float]
    tier: Sequence[int]
    points: Sequence[int]
    review: Sequence[tuple[Why, ...]]
    warnings: Mapping[int, str]
    reasons: Mapping[int, str]
    refused: Collection[int]
    named: Collection[int]
    origins: Sequence[Origin]
    versions: Versions


def versions_of(artifact: Artifact) -> Versions:
    """An artefact's versions; the artefact itself by its manifest's whole sha256."""
    versions = {
        "model_version": artifact.model_version,
        "policy_version": artifact.policy_version,
        "schema_version": SCHEMA_VERSION,
        "artifact": sha256(artifact.files[MANIFEST]),
    }
    return Versions(artifact.model_version, json.dumps(versions, separators=(",", ":"))[1:-1])


def entries(decided: Decided, now: datetime, at: float) -> dict[int, Entry]:
    """Each decided row as it is recorded. `now` is the time that the record gives, `at` the same on perf_counter."""
    time = written(now)
    salts = os.urandom(_SALT_BYTES * len(decided.ids)).hex()
    common = {
        origin: f'"time":"{time}","channel":"{origin.channel}",{decided.versions.members},'
        f'"request_id":{origin.request_id},"seconds":{at - origin.started:.6f}'
        for origin in set(decided.origins)
    }
    rows = zip(
        as_json(decided.codes), decided.ids, decided.probability, decided.tier, decided.points, decided.review,
        decided.origins, range(0, len(salts), 2 * _SALT_BYTES), strict=True,
    )  # fmt: skip
    warnings, reasons = decided.warnings, decided.reasons
    made: dict[int, Entry] = {}
    for row, (application, id_, probability, tier, points, why, origin, salt) in enumerate(rows):
        word = TIERS[tier]
        made[row] = Entry(
            id_,
            time,
            origin.channel,
            word,
            decided.versions.model,
            "queued" if why else "",
            f'{{"id":"{id_}",{common[origin]},"probability":{probability!r},"tier":"{word}",'
            f'"points":{points},"review":{_WHYS_JSON[why]}}}',
            f'{{"salt":"{salts[salt : salt + 2 * _SALT_BYTES]}","application":{application},'
            f'"warnings":{warnings.get(row, "[]")},"reasons":{reasons.get(row, "null")}}}',
        )
    for row in decided.refused:
        del made[row]
    return made


def opening(chain: str, now: datetime, heads: Mapping[str, Place]) -> Line:
    """A chain's first record: it signs where other chains stood."""
    time = written(now)
    facts = {
        "opening": chain,
        "time": time,
        "heads": {other: [head.number, head.hash.hex()] for other, head in heads.items()},
    }
    return chained(BEFORE_ALL, Entry("", time, "", "", "", "", json.dumps(facts, separators=(",", ":")), ""))


def chained(before: bytes, entry: Entry) -> Line:
    """The record in its place after the one whose hash is `before`."""
    digest = hashlib.sha256(entry.personal.encode()).digest()
    return Line(entry, digest, hash_of(before, entry.facts.encode(), digest))


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
        """`facts` as an object."""
        facts: dict[str, Any] = json.loads(self.facts)
        return facts

    @cached_property
    def person(self) -> dict[str, Any] | None:
        """`personal` as an object."""
        return None if self.personal is None else json.loads(self.personal)

    @property
    def id(self) -> str:
        return str(self.fact["id"])
