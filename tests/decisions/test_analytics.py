"""The views, on DuckDB, over an archive that was archived: each says what the store says."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decisions.archive import archive
from decisions.places import STORE
from decisions.record import Record
from decisions.review import Outcome, Review, Verdict
from decisions.sqlite_archive import ArchiveStore
from decisions.sqlite_review import SQLiteReviews
from model.artifact import Artifact
from model.psi import counts, psi, psi_of_counts
from preprocessing.encode import FIELDS, encode
from preprocessing.fields import Category
from preprocessing.schema import Application
from tests.decisions.decided import stored

pytest.importorskip("duckdb", reason="the environment is older than its requirements: make check brings it up to date")

from decisions import analytics

ROOT = Path(__file__).parent.parent.parent
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
WEEKS = (MONDAY, MONDAY + timedelta(days=7), MONDAY + timedelta(days=14))
VERDICTS: tuple[Verdict, ...] = ("approve", "decline")  # on the first two decisions of each chain …
LAST_VERDICT: Verdict = "decline"  # … and on the first one again
ABOVE_FLOAT32 = 1e-9


@pytest.fixture(scope="module")
def folder(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three weeks and two channels, and its archive."""
    folder = tmp_path_factory.mktemp("decisions")
    store = ArchiveStore(folder / STORE)
    for place, (week, channel) in enumerate((week, channel) for week in WEEKS for channel in ("phone", "mail")):
        times = [week + timedelta(hours=5 * number) for number in range(4 + place)]
        ids = stored(store, f"chain {place}", artifact, times, channel=channel)
        reviews = SQLiteReviews(folder / STORE)
        for id_, verdict in zip(ids, VERDICTS, strict=False):
            reviews.review(id_, Review(reviewer="J. Doe", verdict=verdict))
        reviews.review(ids[0], Review(reviewer="A. N. Other", verdict=LAST_VERDICT))
        reviews.add_outcomes([Outcome(decision_id=ids[1], outcome="bad", date=date(2026, 12, 1))])
        reviews.add_outcomes([Outcome(decision_id=ids[1], outcome="good", date=date(2026, 12, 2))])
        reviews.close()
    archive(store, str(folder / "archive"))
    store.close()
    return folder


@pytest.fixture(scope="module")
def records(folder: Path) -> list[Record]:
    """What the store has."""
    store = ArchiveStore(folder / STORE)
    found = store.get([id_ for [id_] in store._run("SELECT id FROM decisions")])
    store.close()
    return list(found.values())


@pytest.fixture(scope="module")
def connection(folder: Path) -> Iterator[Any]:
    opened = analytics.connected(str(folder / "archive"))
    yield opened
    opened.close()


def asked(connection: Any, view: str, *columns: str) -> set[tuple[Any, ...]]:
    return set(connection.execute(f"SELECT {', '.join(columns)} FROM {view}").fetchall())


def monday(record: Record) -> Any:
    day = datetime.fromisoformat(record.fact["time"]).date()
    return day - timedelta(days=day.weekday())


def test_every_view_is_tested_here() -> None:
    views = set(re.findall(r"CREATE OR REPLACE VIEW (\w+)", analytics.VIEWS.read_text()))
    asked_of = set(re.findall(r'asked\(connection, "(\w+)"', Path(__file__).read_text()))
    assert views == asked_of


def test_volumes(connection: Any, records: list[Record]) -> None:
    expected = Counter((record.fact["time"][:10], record.fact["channel"]) for record in records)
    assert asked(connection, "volumes", "day", "channel", "decisions") == {(*key, n) for key, n in expected.items()}


def test_weeks_begin_on_monday(connection: Any, records: list[Record]) -> None:
    found = asked(connection, "decisions_by_week", "id", "week", "tier", "application_" + FIELDS[0].name)
    assert found == {
        (record.id, monday(record), record.fact["tier"], (record.person or {})["application"][FIELDS[0].name])
        for record in records
    }


def test_tiers(connection: Any, records: list[Record]) -> None:
    weeks = Counter(monday(record) for record in records)
    expected = Counter((monday(record), record.fact["tier"]) for record in records)
    found = asked(connection, "tiers", "week", "tier", "decisions", "share")
    assert found == {(week, tier, n, n / weeks[week]) for (week, tier), n in expected.items()}


def test_approval(connection: Any, records: list[Record]) -> None:
    by_channel: dict[str, list[bool]] = {}
    for record in records:
        by_channel.setdefault(record.fact["channel"], []).append(record.fact["tier"] != "high")
    found = {
        channel: (n, share) for channel, n, share in asked(connection, "approval", "channel", "decisions", "approved")
    }
    assert found == {channel: (len(said), pytest.approx(np.mean(said))) for channel, said in by_channel.items()}


def test_warned(connection: Any, records: list[Record]) -> None:
    expected = Counter(
        (monday(record), warning["field"], warning["code"])
        for record in records
        for warning in (record.person or {})["warnings"]
    )
    assert expected, "the applications must be such as are warned about"
    assert asked(connection, "warned", "week", "field", "code", "decisions") == {(*k, n) for k, n in expected.items()}


def test_reasoned(connection: Any, records: list[Record]) -> None:
    expected = Counter(
        (monday(record), record.fact["tier"], reason["code"])
        for record in records
        for reason in (record.person or {})["reasons"] or ()
    )
    assert expected
    assert asked(connection, "reasoned", "week", "tier", "reason", "decisions") == {
        (*k, n) for k, n in expected.items()
    }


def reviewed_first(records: list[Record]) -> list[list[Record]]:
    """The decisions of each chain in order: the first two of them are reviewed, the second has its outcomes."""
    chains: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.number):
        chains.setdefault(record.chain, []).append(record)
    return list(chains.values())


def test_reviewed(connection: Any, records: list[Record]) -> None:
    expected = Counter(
        (monday(record), record.fact["tier"], verdict)
        for chain in reviewed_first(records)
        for record, verdict in zip(chain, (LAST_VERDICT, VERDICTS[1]), strict=False)
    )
    assert asked(connection, "reviewed", "week", "tier", "verdict", "decisions") == {
        (*key, n) for key, n in expected.items()
    }


def test_turned_out(connection: Any, records: list[Record]) -> None:
    expected = Counter((monday(chain[1]), chain[1].fact["tier"], "good") for chain in reviewed_first(records))
    assert asked(connection, "turned_out", "week", "tier", "outcome", "decisions") == {
        (*key, n) for key, n in expected.items()
    }


def test_versions(connection: Any, records: list[Record], artifact: Artifact) -> None:
    times = [datetime.fromisoformat(record.fact["time"]).replace(tzinfo=None) for record in records]
    assert asked(connection, "versions", "*") == {
        (artifact.model_version, artifact.policy_version, min(times), max(times), len(records))
    }


def of_week(records: list[Record], week: datetime) -> list[Record]:
    return [record for record in records if monday(record) == week.date()]


def test_score_bins_and_their_drift(connection: Any, records: list[Record]) -> None:
    edges = np.arange(1, 20) / 20
    rows = [counts(np.array([r.fact["probability"] for r in of_week(records, week)]), edges) for week in WEEKS]
    bins = asked(connection, "score_bins", "week", "bin", "decisions")
    assert bins == {
        (week.date(), place, n) for week, row in zip(WEEKS, rows, strict=True) for place, n in enumerate(row) if n
    }
    found = dict(asked(connection, "score_drift", "week", "psi"))
    expected = {week.date(): psi_of_counts(rows[0], row) for week, row in zip(WEEKS, rows, strict=True)}
    assert found == pytest.approx(expected, abs=ABOVE_FLOAT32)
    assert found[WEEKS[2].date()] > 0


def test_the_drift_of_each_field_is_the_models_psi(connection: Any, records: list[Record]) -> None:
    weeks, moved = analytics.drift(connection)
    assert list(weeks) == [week.date() for week in WEEKS]
    codes = [
        encode([Application.model_validate((r.person or {})["application"]) for r in of_week(records, week)]).codes
        for week in WEEKS
    ]
    for place, field in enumerate(FIELDS):
        first, *later = (each[place] for each in codes if each is not None)
        categories = len(field.kind.values) if isinstance(field.kind, Category) else None
        expected = [psi(first, values, categories) for values in (first, *later)]
        assert moved[field.name] == pytest.approx(expected, abs=ABOVE_FLOAT32), field.name
    assert max(values[-1] for values in moved.values()) > 0


@pytest.mark.slow
def test_the_command_prints_tables_and_writes_a_page(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "analytics.html"
    command = [sys.executable, "-m", "decisions.analytics", "--decisions", str(folder), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    for title in ("Volumes", "Tiers", "Approval by channel", "Drift since the week of 2026-11-16"):
        assert title in done.stdout
        assert title in out.read_text()
    assert out.read_text().count("<svg") == 2


@pytest.mark.slow
def test_an_archive_without_decisions_is_said_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "decisions.analytics", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == (
        f"riskline: there are no decisions in {tmp_path}; python -m decisions.archive brings them there\n"
    )
