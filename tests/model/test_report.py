import csv
import re
import subprocess
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from model import page
from model.artifact import GRAPH, REPORT, Artifact
from model.data import read_labelled
from model.evaluate import rank_correlation
from model.groups import is_audited
from model.monotone import prove
from model.train import BUNDLED, Options, train
from preprocessing.encode import FIELDS, MODEL_FIELDS
from preprocessing.features import DERIVED
from preprocessing.fields import Number
from preprocessing.schema import BAD, LABEL

SECTIONS = (
    "summary", "data", "discrimination", "calibration", "gain", "tiers", "psi", "effects", "monotonicity", "seeds",
    "scorecard", "parity", "fairness", "limits", "hashes", "signatures",
)  # fmt: skip
LARGEST = 10**6  # bytes


class Tables(HTMLParser):
    """The cells of a report's tables, row by row, under the section that they stand in; and all tags seen."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.tags: set[str] = set()
        self._open: list[str] = []
        self._section = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "section":
            self._section = dict(attrs)["id"] or ""
            self.rows[self._section] = []
        elif tag == "tr":
            self.rows[self._section].append([])
        elif tag in ("td", "th"):
            self.rows[self._section][-1].append("")
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "every element is closed in its order"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("td", "th"):
            self.rows[self._section][-1][-1] += data


@pytest.fixture(scope="module")
def html(files: Mapping[str, bytes]) -> str:
    return files[REPORT].decode()


@pytest.fixture(scope="module")
def tables(html: str) -> Mapping[str, list[list[str]]]:
    return Tables(html).rows


def test_every_section_is_there_and_in_the_contents(html: str, tables: Mapping[str, object]) -> None:
    assert tuple(tables) == SECTIONS
    assert re.findall(r'<a href="#(\w+)">', html) == list(SECTIONS)


def test_the_page_needs_nothing_but_itself(html: str) -> None:
    assert set(re.findall(r"https?://[^\"'\s<]*", html)) == {"http://www.w3.org/2000/svg"}
    assert Tables(html).tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form"})
    assert not re.search(r"url\(|@import|\bon\w+=|\bsrc=|javascript:", html)
    assert len(html.encode()) < LARGEST


def test_neither_a_date_nor_a_path_is_in_it(html: str) -> None:
    text = re.sub(r"[0-9a-f]{64}", "", html)
    assert not re.search(r"\b20\d\d-\d\d", text)
    assert str(BUNDLED.parent) not in text
    assert BUNDLED.name not in text


def test_the_numbers_are_the_manifests(tables: Mapping[str, list[list[str]]], artifact: Artifact, html: str) -> None:
    test, training = artifact.manifest.metrics["test"], artifact.manifest.training
    ours = {cells[0]: float(cells[1]) for cells in tables["scorecard"][1:5]}
    for shown, name in (("AUC", "auc"), ("KS", "ks"), ("Brier score", "brier"), ("log loss", "log_loss")):
        assert ours[shown] == pytest.approx(test[name], abs=6e-5)
    held = {cells[0]: cells[3:6] for cells in tables["tiers"][1:]}
    for tier, expected in test["tiers"].items():
        assert held[tier] == [
            f"{expected['good'] + expected['bad']}", f"{expected['share']:.1%}", f"{expected['bad_rate']:.1%}",
        ]  # fmt: skip
    assert tables["data"][4][:3] == ["all", f"{training['rows']:,}", "1,253"]
    assert f"at most {training['parity']['largest_difference']:.2e} in probability" in html
    assert f"at most {training['parity']['largest_difference_of_contributions']:.2e} in log-odds" in html
    assert f"Calibration error {test['calibration_error']:.4f}" in html


def test_the_hashes_are_those_of_the_files_beside_it(
    tables: Mapping[str, list[list[str]]], artifact: Artifact, html: str
) -> None:
    shown = dict(cells for cells in tables["hashes"] if len(cells) == 2)
    for name, digest in artifact.manifest.files.items():
        assert name == REPORT or shown[name] == digest
    assert shown["training data"] == artifact.manifest.training["data_sha256"]
    assert f"Model {artifact.model_version}, policy {artifact.policy_version}" in html


def test_every_demanded_direction_is_in_the_table_of_proofs(
    tables: Mapping[str, list[list[str]]], files: Mapping[str, bytes]
) -> None:
    expected = [[proof.label, "proved", f"{proof.trees}", f"{proof.pairs:,}"] for proof in prove(files[GRAPH])]
    assert [cells[:1] + cells[2:] for cells in tables["monotonicity"][1 : 1 + len(expected)]] == expected
    assert len(expected) == sum(bool(field.kind.risk) for field in MODEL_FIELDS) + sum(bool(d.risk) for d in DERIVED)


def test_every_audited_field_and_every_model_field_is_shown(html: str) -> None:
    for field in FIELDS:
        if is_audited(field):
            assert f"Approval rates by {field.kind.label}" in html
        assert (f"<title>Effect of {field.kind.label}</title>" in html) is (field in MODEL_FIELDS)


def test_the_groups_of_a_field_hold_the_test_split(tables: Mapping[str, list[list[str]]], artifact: Artifact) -> None:
    counted = [0]
    for cells in tables["fairness"]:
        if cells[0] == "group":
            counted.append(0)
        else:
            counted[-1] += int(cells[1])
    assert counted[1:] == [artifact.manifest.metrics["test"]["rows"]] * sum(map(is_audited, FIELDS))


def test_a_small_group_is_marked(tables: Mapping[str, list[list[str]]]) -> None:
    for cells in tables["fairness"]:
        if cells[0] != "group":
            assert cells[0].endswith("*") is (int(cells[1]) < 30)


def test_text_is_escaped() -> None:
    hostile = "<script>alert('&')</script>"
    sections = [
        page.Section(
            "one",
            hostile,
            page.paragraph(hostile)
            + page.listing([hostile])
            + page.heading(hostile)
            + page.table([hostile], [[hostile]])
            + page.figures((hostile, "")),
        )
    ]
    html = page.page(hostile, hostile, sections).decode()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 11


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (62.0, "62"), (1974.0, "1974"), (1e7, "10,000,000"), (-0.25, "-0.25"), (0.123456, "0.1235")],
)
def test_numbers_are_written_as_people_write_them(value: float, text: str) -> None:
    assert page.plain(value) == text


def test_a_rank_correlation_knows_order_and_ties() -> None:
    ascending = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(ascending, ascending**3) == pytest.approx(1)
    assert rank_correlation(ascending, -ascending) == pytest.approx(-1)
    # by hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    assert rank_correlation(np.array([1.0, 2.0, 2.0, 3.0]), ascending) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model.report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_the_command_writes_the_report_of_a_model_and_says_where(
    model_folder: Path, tmp_path: Path, files: Mapping[str, bytes]
) -> None:
    out = tmp_path / "new" / "report.html"
    done = run(str(model_folder), "--out", str(out), "--no-open")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"The report is {out}\n", "")
    assert out.read_bytes() == files[REPORT]


@pytest.mark.slow
def test_the_command_says_in_one_line_what_is_wrong(model_folder: Path, tmp_path: Path) -> None:
    for arguments, expected in (
        (["/no/such/model"], "riskline: there is no model at /no/such/model"),
        ([str(model_folder), "--out", str(tmp_path), "--no-open"], "riskline: the report cannot be written to"),
    ):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(expected)
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_optional_fields_that_nobody_filled_in_cost_the_report_nothing(tmp_path: Path) -> None:
    with BUNDLED.open() as source:
        rows = list(csv.DictReader(source))[:1500]
    kept = [field.name for field in FIELDS if field.required] + [LABEL]
    empty = next(field.name for field in MODEL_FIELDS if not field.required and isinstance(field.kind, Number))
    with (tmp_path / "part.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, [*kept, empty], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, empty: ""} for row in rows)
    labelled = read_labelled(tmp_path / "part.csv", LABEL, BAD)
    html = train(labelled, Options(cv_seeds=0, report_seeds=1), step=lambda _: None)[REPORT].decode()
    read = Tables(html).rows
    assert tuple(read) == SECTIONS
    assert "nan" not in re.sub(r"<[^>]*>", " ", html).split()
    for field in FIELDS:
        if not field.required:
            assert next(cells for cells in read["data"] if cells[0] == field.kind.label)[3] == "100.0%"
