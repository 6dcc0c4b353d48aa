"""What makes one record true: judged from what the store has of it, of the records around it, and of its chain.

`python -m decisions.verify` follows whole chains with the same rules, GET /decisions/{id}?proof=true asks about one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from decisions.journal import entry_of
from decisions.record import BEFORE_ALL, Entry, Place, hash_of

NO_PERSON = hashlib.sha256(b"").digest()  # an opening is about nobody
UNREADABLE = "it cannot be read"
CHANGED = "it was changed, or does not follow on the record before"


class Stored(NamedTuple):
    """A decision as it stands in the store: its row, column by column, and whether somebody had it forgotten."""

    number: int
    id: str
    time: str
    channel: str
    tier: str
    facts: str
    personal: str | None
    digest: bytes
    hash: bytes
    is_forgotten: bool

    def entry(self) -> Entry:
        """What is looked for of its facts; ValueError where they are none."""
        return entry_of(self.facts.encode(), b"")

    def follows(self, before: bytes) -> bool:
        return self.hash == hash_of(before, self.facts.encode(), self.digest)


def flaw_of_columns(stored: Stored, entry: Entry) -> str:
    """What is wrong with a record whatever came before it; empty where nothing is."""
    return "" if entry[:4] == stored[1:5] else "its columns do not say what its facts say"


def flaw_of_person(stored: Stored) -> str:
    """The same of its personal part."""
    if stored.personal is None:
        return "" if stored.is_forgotten else "its personal part is gone, though nobody had it forgotten"
    if stored.is_forgotten:
        return "its personal part is there, though it was forgotten"
    if hashlib.sha256(stored.personal.encode()).digest() != stored.digest:
        return "its personal part is not the one that was recorded"
    return ""


def hash_of_opening(opening: str) -> bytes:
    """It is kept only as long as nothing of the chain is in the archive alone: the record that follows proves it."""
    return hash_of(BEFORE_ALL, opening.encode(), NO_PERSON)


class Chain(NamedTuple):
    """What the store says of a chain: its first record, its newest one, and the newest that has left for the archive,
    which is the first one where none has."""

    opening: str
    head: Place
    start: Place


class Around(NamedTuple):
    """A record, those of the two before it and the one after it that are there, by number, and its chain."""

    record: Stored
    near: Mapping[int, Stored]
    chain: Chain | None

    def hash_at(self, number: int) -> bytes | None:
        """The hash that a record is kept with, or its opening's."""
        if number in self.near:
            return self.near[number].hash
        if self.chain is None:
            return None
        if number == 0:
            return hash_of_opening(self.chain.opening)
        return self.chain.start.hash if number == self.chain.start.number else None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so of a record, whether it is, and that in a sentence."""

    what: Literal["digest", "hash", "before", "after"]
    holds: bool
    says: str


@dataclass(frozen=True, slots=True)
class Proof:
    """All of them, and whether each holds."""

    holds: bool
    checks: tuple[Check, ...]


def prove(around: Around) -> Proof:
    """That the record is the one that was written, and stands where it was written."""
    checks = (_digest(around), _hash(around), _before(around), _after(around))
    return Proof(all(check.holds for check in checks), checks)


def _digest(around: Around) -> Check:
    record = around.record
    if flaw := flaw_of_person(record):
        return Check("digest", False, _sentence(flaw))
    if record.personal is None:
        return Check("digest", True, "Its personal part was erased, as somebody asked for; the digest stays")
    return Check("digest", True, "The sha256 of its personal part is the digest that was recorded")


def _hash(around: Around) -> Check:
    record = around.record
    try:
        flaw = flaw_of_columns(record, record.entry())
    except ValueError:
        flaw = UNREADABLE
    before = around.hash_at(record.number - 1)
    if not flaw and before is None:
        flaw = "the hash before it is missing, so its own cannot be computed"
    if not flaw and before is not None and not record.follows(before):
        flaw = CHANGED
    says = flaw or "the sha256 of the hash before it, its digest and its facts is the hash that was recorded"
    return Check("hash", not flaw, _sentence(says))


def _before(around: Around) -> Check:
    number, chain = around.record.number - 1, around.chain
    if number in around.near:
        before = around.hash_at(number - 1)
        if before is None:
            says = f"record {number} comes before it, but what that one follows on is missing"
        elif not around.near[number].follows(before):
            says = f"record {number}, which comes before it, was changed, or does not follow on the record before"
        else:
            return Check("before", True, f"Record {number} comes before it, and its own hash holds")
    elif chain is None or number not in (0, chain.start.number):
        says = f"record {number}, which should come before it, is missing"
    elif number == 0 == chain.start.number and hash_of_opening(chain.opening) != chain.start.hash:
        says = "the chain's opening, which comes before it, was changed"
    elif number == 0:
        return Check("before", True, "It is the first of its chain: the chain's opening comes before it")
    else:
        return Check("before", True, f"Record {number}, of which the hash is kept here, is in the archive")
    return Check("before", False, _sentence(says))


def _after(around: Around) -> Check:
    record, chain = around.record, around.chain
    number = record.number + 1
    following = around.near.get(number)
    newest = chain.head.number if chain else 0
    if record.number > newest or (following and number > newest):
        says = "it stands after what the store says is the chain's end"
    elif following:
        if following.follows(record.hash):
            return Check("after", True, f"Record {number} follows on it")
        says = f"record {number}, which comes after it, was changed, or does not follow on it"
    elif number <= newest:
        says = f"record {number}, which should come after it, is missing"
    elif chain and chain.head.hash != record.hash:
        says = "the store's own list names another hash for it"
    else:
        return Check("after", True, "It is the newest of its chain so far")
    return Check("after", False, _sentence(says))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
