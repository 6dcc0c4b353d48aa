"""Erases what is personal of decisions: application, warnings and reasons. What was decided, and the proof, stay.

    python -m decisions.forget 01a209b3-117e-7530-8ca4-a96cd0dd9bb1 --by "J. Doe"

The store overwrites it, and the archive's files are written anew. A journal cannot be changed, so a worker that still
writes one with such a decision in it is asked to begin another, and the finished file is deleted. The command ends when
no file in the folder holds their salts any more; run again, it takes up where it was stopped.
Where RISKLINE_STORE names a table of DynamoDB, they are erased there too.
"""

import argparse
import getpass
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from decisions.archive import alone, forget_in_archive, held_in_archive
from decisions.drain import DAMAGED, Drain
from decisions.errors import StoreError, UnknownDecision
from decisions.journal import ask_to_end, path_of
from decisions.mirror import Target
from decisions.places import ARCHIVE_VARIABLE, MIRROR_LOCK, STORE, VARIABLE, archive_of, existing, locked
from decisions.record import Record, written
from decisions.sqlite_audit import AuditStore
from decisions.target import EMBEDDED, STORE_VARIABLE, target
from model.places import place_of
from preprocessing.errors import RisklineError

WAIT_S = 60.0
_AGAIN_S = 0.1
_BLOCK_BYTES = 2**24


def forget(
    folder: Path,
    store: AuditStore,
    ids: Sequence[str],
    who: str,
    archive: str | None = None,
    wait_s: float = WAIT_S,
    mirror: Target | None = None,
) -> int:
    """Erases the personal part of these decisions, from every file in the folder, from the `archive`, a folder or URL,
    and from the `mirror`; how many there were to forget.

    UnknownDecision where an id stands for none: nothing is erased then. StoreError where something is left after
    `wait_s`; what is erased by then stays so. ScoringError where the archive is away.
    """
    drain = Drain(folder, store)
    drain.run()
    records = store.get(ids)
    missing = set(ids) - set(records)
    archived = held_in_archive(archive, missing) if missing and archive is not None else set()
    if missing - archived:
        unknown = ", ".join(sorted(missing - archived))
        raise UnknownDecision(f"there is no decision {unknown}; nothing was forgotten")
    marks = [_mark(record) for record in records.values()]
    erased = store.forget(ids, written(datetime.now(UTC)), who)
    if archive is not None:
        with alone(folder, wait=True):
            forget_in_archive(archive, ids)
    if mirror is not None:
        # or what was read before it was erased would be copied after it was forgotten
        with locked(folder / MIRROR_LOCK, wait=True):
            mirror.forget([*records.values(), *mirror.get(sorted(missing)).values()])
    _end_journals(folder, drain, {record.chain for record in records.values()}, time.monotonic() + wait_s)
    if not store.empty_log(wait_s):
        raise StoreError("the write-ahead log cannot be emptied while somebody reads in it for long; run this again")
    if left := [path.name for path in sorted(folder.iterdir()) if path.is_file() and _holds(path, marks)]:
        raise StoreError(f"{', '.join(left)} in {folder} {'have' if len(left) > 1 else 'has'} some of it{_hint(left)}")
    return erased + len(archived)


def _mark(record: Record) -> bytes:
    """What only this decision's personal part has: its salt. Once that is gone, the beginning of its line's facts."""
    return (f'{{"id":"{record.id}",' if record.person is None else str(record.person["salt"])).encode()


def _end_journals(folder: Path, drain: Drain, chains: set[str], deadline: float) -> None:
    """Waits until the chains' journals are finished and deleted."""
    while standing := sorted(chain for chain in chains if path_of(folder, chain).exists()):
        if time.monotonic() > deadline:
            raise StoreError(
                f"{path_of(folder, standing[0])} is still being written, by a worker that does not begin another; "
                "restart the service, then run this again"
            )
        for chain in standing:
            ask_to_end(folder, chain)
        time.sleep(_AGAIN_S)
        drain.run()


def _holds(path: Path, marks: Sequence[bytes]) -> bool:
    """Whether the file has any of the `marks`, also across two blocks; in the store itself ids may stay."""
    if path.name.startswith(STORE):
        marks = [mark for mark in marks if not mark.startswith(b"{")]
    overlap = max(map(len, marks), default=1) - 1
    before = b""
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                block = before + block
                if any(mark in block for mark in marks):
                    return True
                before = block[-overlap:]
    except FileNotFoundError:
        return False
    return False


def _hint(left: Sequence[str]) -> str:
    return f"; *{DAMAGED} is what did not fit, delete it once it is looked into" if left[0].endswith(DAMAGED) else ""


def _beside(folder: Path) -> str | None:
    """The archive beside the store, if there is one."""
    place = archive_of(folder)
    return place if Path(place).is_dir() else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container a user may have no name
        return str(os.getuid())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m decisions.forget", description="Forget applicants.")
    parser.add_argument("ids", nargs="+", metavar="ID", help="of the decisions on their applications")
    parser.add_argument("--by", default=None, metavar="NAME", help="who does it, for the record (default: the user)")
    parser.add_argument(
        "--archive",
        metavar="URL",
        help="forget them there too (default: RISKLINE_ARCHIVE, or the one beside the store)",
    )
    parser.add_argument("--decisions", metavar="FOLDER", help=f"where they are (default: {VARIABLE})")
    arguments = parser.parse_args()
    ids = list(dict.fromkeys(arguments.ids))
    try:
        folder = existing(arguments.decisions)
        archive = arguments.archive or os.environ.get(ARCHIVE_VARIABLE) or _beside(folder)
        mirror = target(os.environ.get(STORE_VARIABLE) or EMBEDDED, 0)
        store = AuditStore(folder / STORE)
        erased = forget(folder, store, ids, arguments.by or _user(), archive, mirror=mirror)
        others = store.archives() - ({str(place_of(archive))} if archive else set())
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"riskline: the store is away ({error}); run this again")
    earlier = f", {len(ids) - erased} were before" if erased < len(ids) else ""
    print(f"forgot {erased} decision{'' if erased == 1 else 's'}{earlier}; their facts and hashes stay")  # noqa: T201
    if others:
        sys.exit(f"riskline: {', '.join(sorted(others))} may have them still; run this again with each as --archive")


if __name__ == "__main__":
    main()
