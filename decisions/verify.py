"""Proves that no recorded decision was changed, left out or put in later: every hash is computed anew.

    python -m decisions.verify

A chain is the store's part and then its journal's, which may still be written: the service need not stop. What other
chains' openings name must be there too, so neither a chain nor its end can be cut off unseen once another was begun.
"""

import argparse
import hashlib
import json
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from decisions.drain import DAMAGED
from decisions.journal import SUFFIX, entry_of, parsed
from decisions.places import STORE, VARIABLE, existing
from decisions.proof import CHANGED, NO_PERSON, UNREADABLE, flaw_of_columns, flaw_of_person, hash_of_opening
from decisions.record import BEFORE_ALL, Entry, Place, hash_of
from decisions.sqlite_audit import AuditStore
from preprocessing.errors import RisklineError


class Break(NamedTuple):
    """Something in a chain that does not fit; `id` is empty where there is none."""

    chain: str
    number: int
    id: str
    what: str

    def __str__(self) -> str:
        return f"chain {self.chain}, record {self.number}{f', id {self.id}' if self.id else ''}: {self.what}"


@dataclass
class Summary:
    """What was looked at: chains, and the decisions in them. Times are the records' own."""

    chains: int = 0
    decisions: int = 0
    archived: int = 0
    forgotten: int = 0
    first: str = ""
    last: str = ""
    breaks: int = 0

    def count(self, time: str, is_forgotten: bool) -> None:
        self.decisions += 1
        self.forgotten += is_forgotten
        self.first = min(self.first or time, time)  # a clock may have been put back
        self.last = max(self.last, time)

    def __str__(self) -> str:
        span = f", from {self.first} to {self.last}" if self.decisions else ""
        verdict = f"{self.breaks:,} do not fit" if self.breaks else "every hash fits"
        left = f", {self.archived:,} in the archive only" if self.archived else ""
        counts = f"{self.chains:,} chains, {self.decisions:,} decisions, {self.forgotten:,} forgotten{left}"
        return f"{counts}{span}; {verdict}"


class _Seen(NamedTuple):
    """A record before it is judged; `hash` and `entry` are None where it cannot be read, `flaw` is what is wrong with
    it whatever came before."""

    number: int
    entry: Entry | None
    digest: bytes
    hash: bytes | None
    is_forgotten: bool = False
    flaw: str = ""
    has_left: bool = False  # for the archive, with all between the opening and it


class _Named(NamedTuple):
    """A hash that somebody else says a chain has at some place."""

    hash: bytes
    by: str


@dataclass
class _Chain:
    """Follows one chain from its opening through the store and the journal."""

    name: str
    named: dict[int, list[_Named]]
    tell: Callable[[Break], None]
    summary: Summary
    found: set[int] = field(default_factory=set)  # of the numbers in `named`
    newest: int = -1
    start: int = 0  # of what is here; what was before is in the archive

    def walk(self, records: Iterable[_Seen]) -> None:
        """Judges records that begin with the chain's first; those that an earlier walk has seen count once."""
        number = -1
        before: bytes | None = BEFORE_ALL  # None where it is not known
        for seen in records:
            id_ = seen.entry.id if seen.entry else ""
            if seen.has_left:
                self.start = seen.number
                self.summary.archived += seen.number
            elif seen.number != number + 1:
                self._tell(number + 1, "", f"records {number + 1} to {seen.number - 1} are missing")
                before = None
            number = seen.number
            if seen.flaw:
                self._tell(number, id_, seen.flaw)
            elif before is not None and seen.entry and seen.hash != hash_of(before, seen.entry.facts, seen.digest):
                self._tell(number, id_, CHANGED)
            for named in self.named.get(number, ()):
                self.found.add(number)
                if named.hash != seen.hash:
                    self._tell(number, id_, f"{named.by} names another hash for it")
            before = seen.hash  # so that one break is told once
            if number > self.newest:
                self.newest = number
                if number > self.start and seen.entry:
                    self.summary.count(seen.entry.time, seen.is_forgotten)

    def end(self) -> None:
        for number in {number for number in self.named.keys() - self.found if number >= self.start}:
            for named in self.named[number]:
                self._tell(number, "", f"it is missing, though {named.by} names it")

    def _tell(self, number: int, id_: str, what: str) -> None:
        self.tell(Break(self.name, number, id_, what))


def verify(folder: Path, store: AuditStore, tell: Callable[[Break], None]) -> Summary:
    """Follows every chain in memory that does not grow with them; each break is told as it is found."""
    summary = Summary()

    def told(found: Break) -> None:
        summary.breaks += 1
        tell(found)

    with ExitStack() as stack:
        # Opened before the store is asked: what leaves a journal after this moment can still be read in it.
        files = _opened(folder, stack)
        heads, openings, starts = store.heads(), store.openings(), store.starts()
        named = _named_by(openings, files, told)
        for chain, head in heads.items():
            named[chain].setdefault(head.place.number, []).append(_Named(head.place.hash, "the store's own list"))
        for chain in sorted({*openings, *files, *named, *store.chains_of_decisions()}):
            summary.chains += 1
            following = _Chain(chain, named[chain], told, summary)
            if chain in openings or chain not in files:
                following.walk(_stored(store, chain, openings.get(chain), starts.get(chain)))
                now = store.head(chain)
                if following.newest > (now.place.number if now else 0):
                    told(Break(chain, following.newest, "", "it stands after what the store says is the chain's end"))
            for file in files.get(chain, ()):
                following.walk(_written(file))
            following.end()
    return summary


def _opened(folder: Path, stack: ExitStack) -> dict[str, list[BinaryIO]]:
    files: dict[str, list[BinaryIO]] = defaultdict(list)
    for path in sorted([*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{DAMAGED}")]):
        try:
            files[path.stem].append(stack.enter_context(path.open("rb")))
        except FileNotFoundError:  # finished just now, so the store has it all
            continue
    return files


def _named_by(
    openings: dict[str, str], files: dict[str, list[BinaryIO]], tell: Callable[[Break], None]
) -> defaultdict[str, dict[int, list[_Named]]]:
    """By chain and number, the hashes that the openings of other chains name."""
    named: defaultdict[str, dict[int, list[_Named]]] = defaultdict(dict)
    texts = dict(openings)
    for chain, [file, *_] in files.items():
        if chain not in texts:
            texts[chain] = next((seen.entry.facts.decode() for seen in _written(file) if seen.entry), "")
    for chain, text in texts.items():
        try:
            heads = {
                other: (int(number), bytes.fromhex(hash_))
                for other, (number, hash_) in json.loads(text)["heads"].items()
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            tell(Break(chain, 0, "", "the chain's opening cannot be read"))
            continue
        for other, (number, hash_) in heads.items():
            named[other].setdefault(number, []).append(_Named(hash_, f"the opening of chain {chain}"))
    return named


def _stored(store: AuditStore, chain: str, opening: str | None, start: Place | None) -> Iterator[_Seen]:
    if opening is not None:
        # its hash is not kept: the record that follows on it proves it, or else what names it
        yield _Seen(
            0,
            entry_of(opening.encode(), b""),
            NO_PERSON,
            hash_of_opening(opening),
        )
    if start is not None:
        yield _Seen(start.number, None, b"", start.hash, has_left=True)
    for found in store.walk(chain):
        try:
            entry = found.entry()
        except ValueError:
            yield _Seen(found.number, None, found.digest, found.hash, flaw=UNREADABLE)
        else:
            flaw = flaw_of_columns(found, entry) or flaw_of_person(found)
            yield _Seen(found.number, entry, found.digest, found.hash, found.personal is None, flaw)


def _written(file: BinaryIO) -> Iterator[_Seen]:
    """A journal's records. What comes after its last line feed is being written, or was when its writer died: nobody
    was told of it."""
    file.seek(0)
    for number, line in enumerate(file):
        if not line.endswith(b"\n"):
            return
        try:
            entry, hash_ = parsed(line[:-1])
        except ValueError:
            yield _Seen(number, None, b"", None, flaw=UNREADABLE)
        else:
            yield _Seen(number, entry, hashlib.sha256(entry.personal).digest(), hash_)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m decisions.verify", description="Prove the record of decisions.")
    parser.add_argument("--decisions", metavar="FOLDER", help=f"where they are (default: {VARIABLE})")
    arguments = parser.parse_args()
    try:
        folder = existing(arguments.decisions)
        summary = verify(folder, AuditStore(folder / STORE), print)
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"riskline: the decisions cannot be read ({error})")
    print(summary)  # noqa: T201
    sys.exit(1 if summary.breaks else 0)


if __name__ == "__main__":
    main()
