"""What training learns from decisions: outcomes first, then reviewers who agree, and nothing else."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from decisions import sqlite_labelled
from decisions.errors import StoreError, UnreadableRecord
from decisions.labelled import labelled_decisions
from decisions.log import Log
from decisions.places import STORE
from decisions.review import Outcome, Review
from decisions.sqlite_review import SQLiteReviews
from model.artifact import REPORT, Artifact
from model.data import Decisions, read_labelled
from model.storage import MANIFEST
from model.train import BUNDLED, Options, train
from preprocessing.encode import encode
from preprocessing.schema import BAD, LABEL, Application
from tests.decisions.decided import decided, recorded


@pytest.fixture
def applications(artifact: Artifact) -> Sequence[Mapping[str, Any]]:
    return [golden.application for golden in artifact.golden]


@pytest.fixture
def ids(artifact: Artifact, applications: Sequence[Mapping[str, Any]], tmp_path: Path) -> Sequence[str]:
    log = Log(tmp_path)
    batch = decided(artifact, applications)
    recorded(log, batch)
    log.close()
    return batch.ids


@pytest.fixture
def reviews(ids: Sequence[str], tmp_path: Path) -> Iterator[SQLiteReviews]:
    assert ids
    opened = SQLiteReviews(tmp_path / STORE)
    yield opened
    opened.close()


def became(reviews: SQLiteReviews, id_: str, outcome: Literal["good", "bad"], day: int) -> None:
    told = Outcome(decision_id=id_, outcome=outcome, date=date(2026, 11, day))
    assert reviews.add_outcomes([told]) == [True]


def judged(reviews: SQLiteReviews, id_: str, **verdicts: Literal["approve", "decline"]) -> None:
    for reviewer, verdict in verdicts.items():
        reviews.review(id_, Review(reviewer=reviewer, verdict=verdict))


def learned(folder: Path, applications: Sequence[Mapping[str, Any]]) -> tuple[dict[int, bool], Decisions]:
    """By the number of the application its label, and what it was read from."""
    found = labelled_decisions(folder)
    every = encode([Application.model_validate(application) for application in applications]).codes
    assert every is not None
    columns = [column.tobytes() for column in every.T]
    return {columns.index(column.tobytes()): bad for column, bad in zip(found.codes.T, found.bad, strict=True)}, found


def test_outcomes_go_before_reviews_and_the_newest_day_before_older_ones(
    reviews: SQLiteReviews, ids: Sequence[str], applications: Sequence[Mapping[str, Any]], artifact: Artifact,
    tmp_path: Path,
) -> None:  # fmt: skip
    became(reviews, ids[0], "good", 3)
    became(reviews, ids[0], "bad", 5)
    became(reviews, ids[0], "good", 4)  # told later, but older
    became(reviews, ids[1], "good", 3)
    judged(reviews, ids[1], anna="decline")
    judged(reviews, ids[2], anna="decline", ben="decline")
    judged(reviews, ids[3], anna="approve")
    judged(reviews, ids[4], anna="approve", ben="decline")
    became(reviews, ids[5], "good", 3)
    became(reviews, ids[5], "bad", 3)  # of the same day, told later
    labels, found = learned(tmp_path, applications)
    assert labels == {0: True, 1: False, 2: True, 3: False, 5: True}
    tiers = [artifact.golden[number].tier for number in labels]
    by_tier = found.facts["by_tier"]
    assert {tier: sum(counts.values()) for tier, counts in by_tier.items()} == {
        tier: tiers.count(tier) for tier in ("low", "medium", "high")
    }
    assert sum(counts["outcome"] for counts in by_tier.values()) == 3
    assert (found.facts["rows"], found.facts["refused"]) == (5, 0)


def test_who_was_forgotten_and_whom_the_schema_would_refuse_today_teach_nothing(
    reviews: SQLiteReviews, ids: Sequence[str], applications: Sequence[Mapping[str, Any]], tmp_path: Path
) -> None:
    for number in range(3):
        became(reviews, ids[number], "bad", 3)
    with sqlite3.connect(tmp_path / STORE) as connection:
        connection.execute("UPDATE decisions SET personal = NULL WHERE id = ?", (ids[0],))
        connection.execute(
            """UPDATE decisions SET personal = '{"application":{"made_up":1}}' WHERE id = ?""", (ids[1],)
        )
    connection.close()
    labels, found = learned(tmp_path, applications)
    assert labels == {2: True}
    assert (found.facts["rows"], found.facts["refused"]) == (1, 1)


@pytest.mark.parametrize("personal", ["no JSON", "[1]", "{}"])
def test_nothing_is_learned_beside_a_damaged_record_which_is_named(
    reviews: SQLiteReviews, ids: Sequence[str], tmp_path: Path, personal: str
) -> None:
    became(reviews, ids[0], "bad", 3)
    edit(tmp_path, "personal", personal, ids[0])
    with pytest.raises(UnreadableRecord, match=f"the record's personal part of {ids[0]} cannot be read"):
        labelled_decisions(tmp_path)


def test_what_became_of_others_is_known_beside_a_damaged_record(
    reviews: SQLiteReviews, ids: Sequence[str], artifact: Artifact, tmp_path: Path
) -> None:
    for id_ in ids[:2]:
        became(reviews, id_, "bad", 3)
    edit(tmp_path, "facts", "no JSON", ids[0])
    assert sqlite_labelled.became(tmp_path / STORE, artifact.model_version, 100)[1] == [True]


def edit(folder: Path, column: str, text: str, id_: str) -> None:
    with sqlite3.connect(folder / STORE) as connection:
        connection.execute(f"UPDATE decisions SET {column} = ? WHERE id = ?", (text, id_))
    connection.close()


def test_a_folder_without_decisions_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there are no decisions in"):
        labelled_decisions(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_decisions_are_added_to_the_training_data_once(
    reviews: SQLiteReviews, ids: Sequence[str], tmp_path: Path
) -> None:
    for number, id_ in enumerate(ids):
        became(reviews, id_, "bad" if number % 2 else "good", 3)
    found = labelled_decisions(tmp_path)
    alone, joined = read_labelled(BUNDLED, LABEL, BAD), read_labelled(BUNDLED, LABEL, BAD, found)
    assert joined.bad.size == alone.bad.size + 32
    assert joined.bad[-32:].tolist() == [bool(number % 2) for number in range(32)]
    assert np.array_equal(joined.matrix[: alone.bad.size], alone.matrix, equal_nan=True)
    assert all(grouping.index.size == joined.bad.size for grouping in joined.groups)
    twice = Decisions(np.hstack([found.codes, found.codes]), np.append(found.bad, found.bad), found.facts)
    again = read_labelled(BUNDLED, LABEL, BAD, twice)
    assert np.array_equal(again.matrix, joined.matrix, equal_nan=True)
    assert again.warnings[-1] == "32 of the decisions repeat other rows; left out"


def test_the_manifest_and_the_report_say_what_was_learned_from_decisions(
    reviews: SQLiteReviews, ids: Sequence[str], tmp_path: Path
) -> None:
    became(reviews, ids[0], "bad", 3)
    judged(reviews, ids[1], anna="decline")
    found = labelled_decisions(tmp_path)
    data = read_labelled(BUNDLED, LABEL, BAD, found)
    files = train(data, Options(cv_seeds=0, report_seeds=0), step=lambda _: None)
    assert json.loads(files[MANIFEST])["training"]["decisions"] == found.facts
    report = files[REPORT].decode()
    assert "2 decisions of the service with a label" in report
    assert "Who was declined has no outcome" in report
    assert found.facts["sha256"] in report


@pytest.mark.slow
def test_the_command_learns_from_the_folder_it_is_given(
    reviews: SQLiteReviews, ids: Sequence[str], tmp_path: Path
) -> None:
    became(reviews, ids[0], "bad", 3)

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "model.train", "--cv-seeds", "0", "--report-seeds", "0", "--holdout", "0.2"]
        outcomes = ["--with-outcomes", str(folder), "--out", str(tmp_path / "model")]
        return subprocess.run([*command, *outcomes], capture_output=True, text=True, timeout=300)

    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 decisions of the service with a label" in " ".join(done.stdout.split())
    training = json.loads((tmp_path / "model" / MANIFEST).read_text())["training"]
    assert training["decisions"]["rows"] == 1
    assert training["rows"] + training["holdout"]["rows"] == read_labelled(BUNDLED, LABEL, BAD).bad.size + 1
    missing = run(tmp_path / "none")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert missing.stderr.startswith("riskline: there are no decisions in ")
