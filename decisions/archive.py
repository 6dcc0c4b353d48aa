"""The archive: decisions copied from the store to Parquet, a folder a day, for SQL to ask and for the time after them.

    python -m decisions.archive --to s3://lender/archive
    python -m decisions.archive --to archive --retain 400      # and remove from the store what is older than 400 days

    archive/decisions/day=2026-11-24/<store>-<first>-<last>.parquet         # and reviews/ and outcomes/ beside it

A file is named for the range of records that it is made from, and the store plans a range before its files are
written. So the same command, after a crash at whatever point, writes the same files again: nothing is left out, and
nothing comes twice.
"""

import argparse
import sqlite3
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from pyarrow.fs import FileSelector

from decisions.archive_columns import records_of, tables, without
from decisions.drain import Drain
from decisions.errors import StoreError
from decisions.places import ARCHIVE_LOCK, STORE, archive_of, folder, locked
from decisions.record import Record, written
from decisions.sqlite_archive import DATASETS, DECISIONS, ArchiveStore, Dataset, Span
from model.places import PARQUET, Place, no_storage_errors, place_of, remove_partial, whole_file
from preprocessing.errors import RisklineError

ROWS_AT_ONCE = 25_000  # of one range; some 300 MB of memory where each has its reasons


class Archived(NamedTuple):
    """How many decisions a run has brought to the archive, how many reviews and outcomes, and how many decisions have
    left the store for it."""

    records: int
    said: int
    removed: int


def archive(store: ArchiveStore, to: str, retain: timedelta | None = None) -> Archived:
    """Brings to the archive at `to`, a folder or URL, what it lacks; removes from the store what it has and is older
    than `retain`. ScoringError where it cannot be written to."""
    target = place_of(to)
    counts = dict.fromkeys(DATASETS, 0)
    for dataset in DATASETS:
        while span := store.plan(str(target), dataset, ROWS_AT_ONCE):
            counts[dataset] += _write(store, target, dataset, span)
    removed = 0 if retain is None else store.remove(str(target), written(datetime.now(UTC) - retain))
    return Archived(counts[DECISIONS], sum(counts.values()) - counts[DECISIONS], removed)


def _write(store: ArchiveStore, target: Place, dataset: Dataset, span: Span) -> int:
    """Until what is there is what the store has: somebody may be forgotten while it is written."""
    while True:
        emptied = store.emptied(dataset, span)
        rows = store.rows(dataset, span)
        for day, table in tables(dataset.name, rows).items():
            name = f"{span.source}-{span.after + 1:012}-{span.last:012}{PARQUET}"
            place = target._replace(path=f"{target.path}/{dataset.name}/day={day}/{name}")
            remove_partial(place)
            _put(place, table)
        if store.finish(str(target), dataset, span, emptied):
            return len(rows)


def forget_in_archive(url: str, ids: Collection[str]) -> int:
    """Makes what is personal of these decisions null in every file that has it; in how many rows it was not yet.

    To be called after the store has forgotten them, so that an archiver at work writes them no more, and by one at a
    time (`alone`), since two that rewrite one file would undo each other's. Each file is replaced as a whole, so after
    a crash the same call does the rest. ScoringError where the archive is away.
    """
    wanted = pa.array(sorted(set(ids)), pa.string())
    count = 0
    for place in (place for dataset in DATASETS if dataset.personal != "NULL" for place in files(url, dataset)):
        with no_storage_errors(f"{place} cannot be read"), place.files.open_input_file(place.path) as file:
            parquet = pyarrow.parquet.ParquetFile(file)
            if not pc.any(pc.is_in(parquet.read(["id"])["id"], wanted)).as_py():
                continue
            table, forgotten = without(parquet.read(), ids)
        remove_partial(place)  # of an archiver that was killed: what is personal may be in it too
        if forgotten:
            _put(place, table)
            count += forgotten
    return count


def held_in_archive(url: str, ids: Collection[str]) -> set[str]:
    """Those of the ids whose decisions are there. ScoringError where the archive is away."""
    wanted = pa.array(sorted(set(ids)), pa.string())
    held: set[str] = set()
    for place in files(url):
        with no_storage_errors(f"{place} cannot be read"), place.files.open_input_file(place.path) as file:
            column = pyarrow.parquet.ParquetFile(file).read(["id"])["id"]
            held.update(column.filter(pc.is_in(column, wanted)).to_pylist())
    return held


def files(url: str, dataset: Dataset = DECISIONS) -> list[Place]:
    """The archive's files of a dataset, older days first."""
    root = place_of(url)
    with no_storage_errors(f"{root} cannot be read"):
        selector = FileSelector(f"{root.path}/{dataset.name}", recursive=True, allow_not_found=True)
        infos = root.files.get_file_info(selector)
    return [
        root._replace(path=info.path)
        for info in sorted(infos, key=lambda info: info.path)
        if info.is_file and info.base_name.endswith(PARQUET) and not info.base_name.startswith(".")
    ]


def read(place: Place) -> list[Record]:
    """The records that one of the archive's files of decisions holds."""
    with no_storage_errors(f"{place} cannot be read"), place.files.open_input_file(place.path) as file:
        return records_of(pyarrow.parquet.ParquetFile(file).read())


def _put(place: Place, table: Any) -> None:
    with whole_file(place) as stream:
        pyarrow.parquet.write_table(table, stream, compression="zstd")


@contextmanager
def alone(decisions: Path, wait: bool = False) -> Iterator[None]:
    """One archiver a folder; the second waits, or gets a StoreError."""
    decisions.mkdir(parents=True, exist_ok=True)
    with locked(decisions / ARCHIVE_LOCK, wait) as is_ours:
        if not is_ours:
            raise StoreError(f"another archiver is at work in {decisions}; let it finish")
        yield


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m decisions.archive", description="Copy decisions to Parquet.")
    parser.add_argument(
        "--to",
        metavar="URL",
        help="folder, or s3:// or gs:// URL (default: RISKLINE_ARCHIVE, else a folder beside the store)",
    )
    parser.add_argument("--decisions", metavar="FOLDER", help="where decisions are kept (default: RISKLINE_DECISIONS)")
    parser.add_argument(
        "--retain", type=_days, metavar="DAYS", help="remove from the store what is archived and older than this"
    )
    arguments = parser.parse_args()
    kept_in = folder(arguments.decisions)
    to = archive_of(kept_in, arguments.to)
    try:
        with alone(kept_in):
            store = ArchiveStore(kept_in / STORE)
            Drain(kept_in, store).run()
            done = archive(store, to, arguments.retain)
            store.close()
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"riskline: {kept_in} cannot be used for decisions ({error})")
    except KeyboardInterrupt:
        sys.exit("riskline: interrupted; the same command goes on where this one stopped")
    removed = "" if arguments.retain is None else f", {done.removed:,} removed from the store"
    said = f", {done.said:,} reviews and outcomes" if done.said else ""
    print(f"{done.records:,} decisions{said} archived{removed}; {place_of(to)}")  # noqa: T201


def _days(text: str) -> timedelta:
    days = float(text)
    if not 0 <= days < 100_000:
        raise ValueError
    return timedelta(days=days)


if __name__ == "__main__":
    main()
