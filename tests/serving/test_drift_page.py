"""The page of GET /drift shows what the report says, to browsers, and needs nothing but itself."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import httpx
import numpy as np
import pytest

from decisions.record import CHANNELS
from loadtest.server import running_server
from model.artifact import Artifact
from model.data import Labelled
from model.page import NOTHING
from model.psi import ANOTHER_POPULATION
from preprocessing.encode import COLUMN, MODEL_FIELDS
from serving.drift import Drift
from serving.drift_page import drift_page
from serving.drift_report import ALL, Distribution, DriftReport, report
from serving.formats import JSON, prefers
from serving.realised import NOTHING_KNOWN, Realised
from tests.generated import EXAMPLE
from tests.serving.test_drift import CATEGORY, NUMBER, resampled, take

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
SUM_TOLERANCE = 1e-9  # shares of up to a dozen bins, added up


class Tables(HTMLParser):
    """The cells of every row of every table."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._in_cell = False
        self.tags: set[str] = set()
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


@pytest.fixture
def moved(artifact: Artifact, labelled: Labelled, tmp_path: Path) -> DriftReport:
    """Of many applications by phone with one field that has moved and one that is often missing, and a few by mail."""
    counting = Drift(artifact, tmp_path)
    matrix = resampled(labelled, 5000)
    matrix[:, COLUMN[NUMBER.name]] += 2 * np.nanstd(labelled.matrix[:, COLUMN[NUMBER.name]])
    matrix[::2, COLUMN[CATEGORY.name]] = np.nan
    take(counting, matrix, "phone")
    take(counting, resampled(labelled, 20), "mail")
    return report(counting)


def test_the_page_names_what_has_moved_and_says_where_few_say_nothing(moved: DriftReport) -> None:
    rows = Tables(drift_page(moved)).rows
    labels = [field.kind.label for field in MODEL_FIELDS]
    fields = [row for row in rows if row[0] in labels][: len(labels)]
    psi = [float(row[2]) for row in fields]
    assert psi == sorted(psi, reverse=True)
    by_label = {row[0]: row for row in fields}
    assert psi[0] > ANOTHER_POPULATION
    assert by_label[NUMBER.kind.label][1].startswith("another population")
    assert "missing more often" in by_label[CATEGORY.kind.label][1]
    channels = {row[0]: row for row in rows if row[0] in (ALL, *CHANNELS)}
    assert channels.keys() == {ALL, "phone", "mail"}
    assert channels[ALL][2] == "5,020"
    assert channels["mail"][1] == "too few to tell"


def test_the_distributions_are_of_training_and_of_everybody_now(moved: DriftReport, artifact: Artifact) -> None:
    window = moved.windows["1h"]
    assert window.fields.keys() == {field.name for field in MODEL_FIELDS}
    for of in (window.score, *window.fields.values()):
        assert len(of.bins) == len(of.training) == len(of.now)
        assert sum(of.training) == pytest.approx(1, abs=SUM_TOLERANCE)
        assert sum(of.now) == pytest.approx(1, abs=SUM_TOLERANCE)
    category = window.fields[CATEGORY.name]
    assert category.bins == (*CATEGORY.kind.values, "no value")  # type: ignore[union-attr]
    before = artifact.reference.bins.fields[CATEGORY.name].counts
    assert category.training[-1] == before[-1] / sum(before)
    shift = window.channels[ALL].fields[CATEGORY.name].missing_shift
    assert category.now[-1] - category.training[-1] == pytest.approx(shift, abs=SUM_TOLERANCE)
    number = window.fields[NUMBER.name]
    assert number.bins[0].startswith("below ")
    assert number.now[-2] > number.training[-2]  # of the highest


def test_a_page_of_nobody_is_a_page(artifact: Artifact, tmp_path: Path) -> None:
    page = drift_page(report(Drift(artifact, tmp_path)))
    assert b"0 applications are too few to tell drift from chance." in page
    assert b"nan" not in page


def test_the_page_escapes_every_text_and_loads_nothing(moved: DriftReport) -> None:
    evil = "<script>alert('&')</script>"
    window = moved.windows["1h"]
    field = max(window.channels[ALL].fields, key=lambda name: window.channels[ALL].fields[name].psi or 0)
    fields = {**window.fields, field: Distribution((evil, evil), (0.5, 0.5), (0.5, 0.5))}
    channels = {**window.channels, evil: replace(window.channels[ALL], says=evil)}
    said = replace(window, channels={**channels, ALL: channels[evil]}, fields=fields)
    found = Tables(drift_page(replace(moved, model_version=evil, windows={evil: said})))
    assert found.tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    page = drift_page(moved).decode()
    assert not re.search(r"(?:src|href)=\"(?!#)|url\(|@import", page)


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False), ("*/*", False), (JSON, False), ("", False), ("text/html", True), (BROWSER, True),
        ("text/*", True), (f"{JSON}, text/html", False), (f"text/html;q=0.5, {JSON}", False),
        (f"text/html, {JSON};q=0.5", True),
        ("text/html;q=0, */*", False), ("TEXT/HTML", True), ("text/html;q=nonsense", False),
    ],
)  # fmt: skip
def test_only_who_prefers_a_page_gets_one(accept: str | None, html: bool) -> None:
    assert prefers(accept, "text/html", JSON) is html


@pytest.mark.slow
def test_a_browser_gets_a_page_that_may_load_nothing_and_a_program_json(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}) as server:
        assert httpx.post(f"{server.url}/predict", json=EXAMPLE).status_code == 200
        page = httpx.get(f"{server.url}/drift", headers={"accept": BROWSER})
        plain = httpx.get(f"{server.url}/drift")
        report_policy = httpx.get(f"{server.url}/model/report").headers["content-security-policy"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == report_policy
    assert "1 applications are too few to tell drift from chance." in page.text
    assert plain.headers["content-type"] == JSON
    assert plain.json()["windows"]["1h"]["channels"][ALL]["rows"] == 1
    assert plain.headers["vary"] == page.headers["vary"] == "Accept"


def test_what_became_of_decisions_stands_beside_what_was_expected(moved: DriftReport) -> None:
    assert "What became" not in drift_page(moved).decode()  # nothing is recorded
    known = replace(moved, realised=Realised(1234, 0.301, 0.25, None, 0.8))
    rows = Tables(drift_page(known)).rows
    assert ["Bad rate", "25.00%", "30.10%"] in rows
    assert ["AUC", "0.800", NOTHING] in rows
    assert "No outcome" in drift_page(replace(moved, realised=NOTHING_KNOWN)).decode()
