"""A chain on disk: a file that one worker appends to, and that anybody may read behind it.

Each record is a line, `hash ⇥ facts ⇥ personal`, in hexadecimal and JSON, which know no tab and no line feed. A reader
checks each hash as it goes, so a line that a crash has torn, or that somebody has edited, ends the chain there.
While its writer lives the file is locked; one that nobody holds any more is finished and, once a store has it, deleted.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.json import Decoder

from decisions.record import BEFORE_ALL, Entry, Line, Place, State, chained

SUFFIX = ".journal"
NOT_BEGUN = Place(-1, BEFORE_ALL)


class Writer:
    """Creates a chain's file and appends to it; it is locked until `close` or until this process ends."""

    def __init__(self, folder: Path, chain: str, opening: Line) -> None:
        self.chain, self.path = chain, path_of(folder, chain)
        new = self.path.with_suffix(".new")  # nobody reads it before it is locked and begun
        self._file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.bytes = 0
        self.head = NOT_BEGUN
        self.append([opening])
        new.rename(self.path)
        sync_folder(folder)

    def append(self, lines: Sequence[Line]) -> None:
        """Writes the chain's next records; they are on disk when this returns.

        After an OSError nobody knows which of them are, so the chain must end there: close it and begin another.
        """
        block = b"".join(
            [b"%b\t%b\t%b\n" % (hash_.hex().encode(), entry.facts, entry.personal) for entry, _, hash_ in lines]
        )
        written = 0
        while written < len(block):
            written += os.write(self._file, block[written:] if written else block)
        os.fdatasync(self._file)
        self.bytes += len(block)
        self.head = Place(self.head.number + len(lines), lines[-1].hash)

    def close(self) -> None:
        os.close(self._file)


class Read(NamedTuple):
    """Some of a chain's records, and how far they lead: the newest one's place, and the byte after it."""

    lines: list[Line]
    place: Place
    offset: int


def read(path: Path, place: Place = NOT_BEGUN, offset: int = 0, most: int = 2**20) -> Read:
    """The records after `place`, which ends at `offset`, as far as their lines are whole and true.

    Some `most` bytes of them, at least one record where there is one; none where there is no more yet.
    """
    with path.open("rb") as file:
        file.seek(offset)
        block = file.read(most)
        if len(block) == most and b"\n" not in block:
            block += file.readline()
    lines: list[Line] = []
    for text in block.split(b"\n")[:-1]:
        if (line := _parsed(place.hash, text)) is None:
            break
        lines.append(line)
        place, offset = Place(place.number + 1, line.hash), offset + len(text) + 1
    return Read(lines, place, offset)


class _Fact(Struct, gc=False):
    """What of the facts is looked for; an opening has no more than its time."""

    time: str
    id: str = ""
    channel: str = ""
    tier: str = ""
    model_version: str = ""
    review: tuple[str, ...] = ()


_FACTS = Decoder(_Fact)


def _parsed(before: bytes, text: bytes) -> Line | None:
    """The line, if it is whole and follows on `before`."""
    try:
        hash_, facts, personal = text.split(b"\t")
        fact = _FACTS.decode(facts)
        state: State = "queued" if fact.review else ""
        entry = Entry(fact.id, fact.time, fact.channel, fact.tier, fact.model_version, state, facts, personal)
        line = chained(before, entry)
        return line if line.hash == bytes.fromhex(hash_.decode()) else None
    except ValueError:  # not UTF-8, not three parts, no JSON, no hexadecimal
        return None


def path_of(folder: Path, chain: str) -> Path:
    """Where a chain's file is."""
    return folder / (chain + SUFFIX)


class Found(NamedTuple):
    """A chain's file in the folder."""

    chain: str
    path: Path


def journals(folder: Path) -> list[Found]:
    """The chains in the folder, older ones first: their names begin with the time."""
    return [Found(path.stem, path) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def is_finished(path: Path) -> bool:
    """Whether nobody will append to the file any more."""
    file = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def sync_folder(folder: Path) -> None:
    """Makes sure that files created in the folder are found after a crash."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
