"""The archive, asked: volumes, tiers, approval by channel, and drift by week, as tables and as a page with charts.

    make analytics                                     # of what is decided on this machine
    python -m decisions.analytics s3://lender/archive  # of any archive

The SQL is that of deploy/analytics/views.sql, which Athena runs too; here DuckDB does.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset
from rich.console import Console
from rich.table import Table

from decisions.archive import files
from decisions.archive_columns import APPLICATION, SCHEMAS
from decisions.errors import StoreError
from decisions.places import archive_of, folder
from decisions.sqlite_archive import DATASETS, Dataset
from model import page
from model.charts import Axis, Line, bars, lines
from model.places import no_storage_errors, place_of
from model.policy import TIERS
from model.psi import ANOTHER_POPULATION, WORTH_A_LOOK, Values, psi
from preprocessing.encode import FIELDS
from preprocessing.errors import RisklineError
from preprocessing.fields import Category, Field

VIEWS = Path(__file__).parent.parent / "deploy" / "analytics" / "views.sql"
OUT = Path("build/analytics.html")


class Answer(NamedTuple):
    """A table as people read it: its first `words` columns are text, the others numbers."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


def connected(url: str) -> Any:
    """A DuckDB connection with the archive as `decisions`, and every view on it; StoreError where nothing is archived.

    Arrow reads the files, so that an archive may be wherever Arrow finds files; DuckDB tells it which columns and days.
    """
    if not files(url):
        raise StoreError(f"there are no decisions in {place_of(url)}; python -m decisions.archive brings them there")
    connection = duckdb.connect()
    for dataset in DATASETS:
        connection.register(dataset.name, _readable(url, dataset))
    connection.execute(VIEWS.read_text())
    return connection


def _readable(url: str, dataset: Dataset) -> Any:
    """A dataset as DuckDB takes it; its days are a column."""
    places = files(url, dataset)
    schema = pa.schema([*SCHEMAS[dataset.name], pa.field("day", pa.string())])
    if not places:
        return schema.empty_table()
    partitioning = pyarrow.dataset.partitioning(pa.schema([schema.field("day")]), flavor="hive")
    return pyarrow.dataset.dataset(
        [place.path for place in places], schema, "parquet", places[0].files, partitioning=partitioning
    )


def volumes(connection: Any) -> Answer:
    by_day = "SELECT day, sum(decisions), sum(decisions * mean_seconds) FROM volumes GROUP BY day ORDER BY day"
    return Answer(
        "Volumes",
        ("Day", "Decisions", "Mean ms"),
        [(day, f"{count:,}", f"{1000 * seconds / count:.1f}") for day, count, seconds in _rows(connection, by_day)],
    )


def tiers(connection: Any) -> Answer:
    shares = {(week, tier): share for week, tier, share in _rows(connection, "SELECT week, tier, share FROM tiers")}
    counts = _rows(connection, "SELECT week, sum(decisions) FROM tiers GROUP BY 1 ORDER BY 1")
    return Answer(
        "Tiers",
        ("Week of", "Decisions", *TIERS),
        [
            (str(week), f"{count:,}", *(f"{shares.get((week, tier), 0):.1%}" for tier in TIERS))
            for week, count in counts
        ],
    )


def approval(connection: Any) -> Answer:
    rows = _rows(connection, "SELECT channel, decisions, approved, mean_probability FROM approval ORDER BY channel")
    return Answer(
        "Approval by channel",
        ("Channel", "Decisions", "Approved", "Mean probability"),
        [(channel, f"{count:,}", f"{approved:.1%}", f"{mean:.3f}") for channel, count, approved, mean in rows],
    )


Drift = dict[str, list[float]]  # of the score and each field: the PSI of each week against the first one


def drift(connection: Any) -> tuple[Sequence[date], Drift]:
    """The weeks, and how far the score and each field moved since the first of them."""
    rows = _rows(connection, "SELECT week, psi FROM score_drift ORDER BY week")
    weeks = [week for week, _ in rows]
    moved: Drift = {"score": [value for _, value in rows]}
    for field in FIELDS:
        first, *later = (_values(connection, field, week) for week in weeks)
        categories = len(field.kind.values) if isinstance(field.kind, Category) else None
        moved[field.name] = [psi(first, values, categories) for values in (first, *later)]
    return weeks, moved


def _values(connection: Any, field: Field, week: date) -> Values:
    """(rows,) one week's values of a field, categories as codes, NaN for missing or forgotten."""
    column = f'"{APPLICATION}{field.name}"'
    given: list[Any] = [week]
    if isinstance(field.kind, Category):
        column, given = f"list_position(?, {column}) - 1", [list(field.kind.values), week]
    found = connection.execute(f"SELECT cast({column} AS double) AS x FROM decisions_by_week WHERE week = ?", given)  # noqa: S608 - a column of ours
    values: Values = np.ma.filled(found.fetchnumpy()["x"].astype(np.float64), np.nan)
    return values


def drifted(weeks: Sequence[date], moved: Drift) -> Answer:
    latest = sorted(moved, key=lambda name: -moved[name][-1])
    return Answer(
        f"Drift since the week of {weeks[0]} (PSI)",
        ("", *(str(week) for week in weeks[-6:])),
        [(name, *(f"{value:.3f}" for value in moved[name][-6:])) for name in latest],
    )


def written(answers: Sequence[Answer], weeks: Sequence[date], moved: Drift) -> bytes:
    """The page."""
    sections = [
        page.Section(f"part-{place}", answer.title, page.table(answer.header, answer.rows, answer.words))
        for place, answer in enumerate(answers)
    ]
    worst = sorted((name for name in moved if name != "score"), key=lambda name: -max(moved[name]))[:3]
    days = [(week - weeks[0]).days / 7 for week in weeks]
    drawn = [Line(name, list(zip(days, moved[name], strict=True)), marks=True) for name in ("score", *worst)]
    highest = [value for values in moved.values() for value in values]
    charts = [
        (
            "Drift of the score and of the fields that moved most",
            lines(
                "PSI by week", Axis.over("weeks since the first", days, zero=True),
                Axis.over("PSI", [*highest, ANOTHER_POPULATION], zero=True), drawn,
            ),
        ),
        (
            "Approval by channel",
            bars(
                "Approval by channel", "channel", Axis("approved", 0, 1, percent=True),
                [row[0] for row in answers[2].rows],
                [("approved", [float(row[2].rstrip("%")) / 100 for row in answers[2].rows])],
            ),
        ),
    ]  # fmt: skip
    sections.append(page.Section("charts", "Charts", page.figures(*charts)))
    lead = f"PSI: below {WORTH_A_LOOK} stable, up to {ANOTHER_POPULATION} worth a look, above it another population."
    return page.page("Decisions", lead, sections)


def _rows(connection: Any, query: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
    return rows


def _show(answer: Answer) -> None:
    table = Table(title=answer.title, title_justify="left")
    for place, name in enumerate(answer.header):
        table.add_column(name, justify="left" if place < answer.words else "right")
    for row in answer.rows:
        table.add_row(*row)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m decisions.analytics", description="Ask the archive of decisions.")
    parser.add_argument("archive", nargs="?", metavar="URL", help="the archive (default: that of decisions.archive)")
    parser.add_argument("--decisions", metavar="FOLDER", help="where decisions are kept (default: RISKLINE_DECISIONS)")
    parser.add_argument("--out", type=Path, default=OUT, help=f"where the page goes (default: {OUT})")
    arguments = parser.parse_args()
    try:
        connection = connected(archive_of(folder(arguments.decisions), arguments.archive))
        with no_storage_errors("the archive cannot be read"):
            answers = [volumes(connection), tiers(connection), approval(connection)]
            weeks, moved = drift(connection)
        answers.append(drifted(weeks, moved))
        for answer in answers:
            _show(answer)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_bytes(written(answers, weeks, moved))
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    except (duckdb.Error, OSError) as error:
        sys.exit(f"riskline: the archive could not be asked: {str(error).splitlines()[0]}")
    print(f"charts: {arguments.out}")  # noqa: T201


if __name__ == "__main__":
    main()
