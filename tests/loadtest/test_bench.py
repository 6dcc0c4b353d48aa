"""The benchmark's parts without a server, then the harness from start to end with very short rounds."""

import json
import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadtest import bench, bench_environments, bench_report, bench_rounds
from loadtest.bench_environments import FOLDERS, Models, PreparationError, last_words
from loadtest.bench_offline import OfflineSample
from loadtest.bench_plan import NAMES, OFFLINE_PROGRAMS, ONE, QUICK, SERVERS, TARGETS, Effort, Target
from loadtest.bench_results import Ratio, Row, as_json, offline_row, online_row, ratios
from loadtest.bench_rounds import Measured, Setup
from loadtest.bench_wrk import RunError, Sample, parse
from loadtest.server import ROOT

FIGURES = {"requests": 100, "seconds": 2.0, "p50_ms": 1.5, "p99_ms": 9.25, "not_2xx": 0, "socket_errors": 0}
VERY_SHORT = Effort(rounds=1, seconds=1, warm_up_s=0, offline_rows=20_000, offline_rounds=1, bulk_rows=20_000, bulk_s=1)
SPEC = {"contender", "workload", "req_per_s", "rows_per_s", "p50_ms", "p99_ms", "rounds"}


def printed(**changed: float) -> str:
    return f"Running 2s test\n  1 threads and 8 connections\nfigures {json.dumps({**FIGURES, **changed})}\n"


def test_a_run_is_read_from_what_wrk_printed() -> None:
    assert parse(printed(), generator_cpu=0.3, server_cpu=0.9) == Sample(50.0, 1.5, 9.25, 0.3, 0.9)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (printed(not_2xx=3), "3 of 100 answers were not 2xx, 0 connections failed or timed out"),
        (printed(socket_errors=2), "0 of 100 answers were not 2xx, 2 connections failed or timed out"),
        (printed(requests=0), "not one answer in time"),
        ("unable to connect\n", "wrk gave no figures: unable to connect"),
    ],
)
def test_a_run_with_anything_but_good_answers_measures_nothing(output: str, reason: str) -> None:
    with pytest.raises(RunError, match=re.escape(reason)):
        parse(output, 0, 0)


def sample(req_per_s: float, p99_ms: float = 1, generator: float = 0.2, server: float = 0.9) -> Sample:
    return Sample(req_per_s, p99_ms / 2, p99_ms, generator, server)


def test_a_row_is_the_median_over_the_rounds_with_the_slowest_and_the_fastest() -> None:
    row = online_row("us", "batch", 1000, [sample(30, 4), sample(10, 2), sample(20, 900)], cores=2)

    assert (row.req_per_s, row.req_per_s_min, row.req_per_s_max) == (20, 10, 30)
    assert (row.rows_per_s, row.rows_per_s_min, row.rows_per_s_max) == (20_000, 10_000, 30_000)
    assert (row.p50_ms, row.p99_ms, row.rounds) == (2, 4, 3)
    assert row.note is None


def test_a_row_says_when_the_generator_or_the_machine_was_the_limit() -> None:
    assert "wrk was busy" in (online_row("us", ONE, 1, [sample(1, generator=0.97)], cores=2).note or "")
    assert "shared all 2 cores" in (
        online_row("us", ONE, 1, [sample(1, generator=0.4, server=1.5)], cores=2).note or ""
    )


def test_an_offline_row_has_rows_and_memory_and_no_requests() -> None:
    row = offline_row("us", "offline", [OfflineSample(10, 300), OfflineSample(30, 100), OfflineSample(20, 200)])

    assert (row.rows_per_s, row.peak_rss_mib, row.rounds) == (20, 300, 3)
    assert row.req_per_s is row.p99_ms is None


def test_the_results_are_a_flat_list_with_null_for_what_was_not_measured() -> None:
    rows = json.loads(as_json([Row("us", ONE, not_measured="no such thing"), Row("others", ONE, 5.0, rounds=3)]))

    assert [row["contender"] for row in rows] == ["us", "others"]
    assert rows[0].keys() == rows[1].keys() >= SPEC
    assert (rows[0]["req_per_s"], rows[0]["rounds"], rows[0]["not_measured"]) == (None, 0, "no such thing")
    assert not any(isinstance(value, (dict, list)) for row in rows for value in row.values())


def test_a_ratio_is_held_against_its_target() -> None:
    rows = [Row("us", ONE, req_per_s=30, p99_ms=5), Row("others", ONE, req_per_s=10, p99_ms=20)]
    ours, theirs = ("us", ONE), ("others", ONE)
    faster, slower = Target("req_per_s", ours, theirs, 3), Target("req_per_s", ours, theirs, 3.1)
    shorter, longer = Target("p99_ms", ours, theirs, 0.25), Target("p99_ms", ours, theirs, 0.2)
    shown, absent = Target("req_per_s", ours, theirs, None), Target("rows_per_s", ours, ("nobody", ONE), 1)

    found = ratios(rows, (faster, slower, shorter, longer, shown, absent))

    assert [ratio.verdict for ratio in found] == ["yes", "no", "yes", "no", "-", "not measured"]
    assert [ratio.wanted for ratio in found] == ["≥ 3", "≥ 3.1", "≤ 0.25", "≤ 0.2", "-", "≥ 1"]
    assert [ratio.value for ratio in found] == [3, 3, 0.25, 0.25, 3, None]


def test_the_report_has_a_line_for_each_row_and_ratio_and_whole_tables() -> None:
    rows = [Row("us", ONE, 1234.5, 1234.5, 0.5, 2, 3, 1000, 2000), Row("us", "other", not_measured="a | b")]
    text = bench_report.markdown(rows, [Ratio(TARGETS[0], 7.5)], QUICK, "python -m loadtest.bench --quick")

    assert "| us | single | 1,234 (1,000-2,000) | 1,234 | 0.50 | 2.00 |" in text
    assert "not measured: a \\| b" in text
    assert "| req/s: riskline single / bentoml-stock single | 7.50 | ≥ 7 | yes |" in text
    assert "`python -m loadtest.bench --quick`" in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for lines in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_quick_measures_what_the_targets_need_and_names_measure_whole() -> None:
    quick = {server.name: names for server, names in bench.selected([], quick=True).items()}
    wanted = {key for target in TARGETS if target.bound is not None for key in (target.of, target.against)}
    servers = {server.name for server in SERVERS}

    assert {key for key in wanted if key[0] in servers and key not in OFFLINE_PROGRAMS} <= {
        (name, workload) for name, names in quick.items() for workload in names
    }
    [(server, workloads)] = bench.selected(["bentoml-tuned"], quick=True).items()
    assert workloads == server.workloads
    assert {server.name for server in bench.selected([], quick=False)} == servers < set(NAMES)


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for room in ("loadtest", "tests") for path in (ROOT / room).glob("**/requirements.txt")),
)
def test_every_environment_is_pinned_by_hash_without_any_address(folder: Path) -> None:
    text = (folder / "requirements.txt").read_text()

    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[a-z0-9])", text))
    assert "//" not in text
    asked_for = re.findall(r"^[A-Za-z0-9_.-]+", (folder / "requirements.in").read_text(), re.MULTILINE)
    assert asked_for
    assert all(bench_environments.locked_version(folder, name) for name in asked_for)


def test_every_contender_has_an_environment_of_its_own() -> None:
    folders = {server.folder for server in SERVERS if server.folder}

    assert folders == {path.parent.name for path in FOLDERS.glob("*/requirements.txt")}


def test_a_contender_that_cannot_be_had_is_a_reason_and_not_the_end() -> None:
    def prepare(_: object) -> Path:
        raise PreparationError("its packages do not exist for this Python")

    wanted = {SERVERS[0]: SERVERS[0].workloads}
    measured = Measured()
    setup = Setup("wrk", Models(*[Path()] * 5), {}, VERY_SHORT, step=lambda _: None)
    with ExitStack() as stack:
        servers = bench_rounds.start_all(stack, wanted, prepare, setup, measured)
        bench_rounds.run_rounds(servers, wanted, setup, measured)

    assert not servers
    assert not measured.samples
    assert set(measured.reasons) == {(SERVERS[0].name, name) for name in SERVERS[0].workloads}
    assert set(measured.reasons.values()) == {"its packages do not exist for this Python"}


def test_a_program_that_fails_says_why_in_its_last_words() -> None:
    script = "import sys; print('first', file=sys.stderr); sys.exit('the reason\\n')"

    with pytest.raises(PreparationError, match="ended with code 1: the reason"):
        bench_environments.run([sys.executable, "-c", script], within_s=60)
    with pytest.raises(PreparationError, match=r"did not end within 0\.2 s"):
        bench_environments.run([sys.executable, "-c", "import time; time.sleep(60)"], within_s=0.2)
    assert last_words("") == "no output"


def test_a_program_is_measured_by_a_process_that_has_no_memory_of_its_own() -> None:
    script = "data = bytearray(b'x') * (200 * 2**20); print('{\"seconds\": 1.5}')"
    child = [sys.executable, "-m", "loadtest.bench_child", sys.executable, "-c", script]

    lines = [json.loads(line) for line in bench_environments.run(child, within_s=60).splitlines()]

    [said, measured] = sorted(lines, key=len)
    assert said == {"seconds": 1.5}
    assert measured["wall_s"] > 0
    assert 200 <= measured["peak_rss_mib"] < 400
    with pytest.raises(PreparationError, match="ended with code 3"):
        bench_environments.run([*child[:-1], "raise SystemExit(3)"], within_s=60)


@pytest.mark.slow
def test_the_harness_measures_from_environments_to_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        bench_environments.wrk()
    except PreparationError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    monkeypatch.setattr(bench_environments, "BUILD", tmp_path / "build")
    monkeypatch.setattr(bench, "QUICK", VERY_SHORT)
    out = tmp_path / "out"

    assert bench.main(["--quick", "--only", "fixed-uvicorn", "riskline", "--out", str(out)]) == 0

    rows = {(row["contender"], row["workload"]): row for row in json.loads((out / "results.json").read_text())}
    for key in (("riskline", ONE), ("riskline", "batch1000-json"), ("fixed-uvicorn", ONE)):
        assert rows[key]["not_measured"] is None, rows[key]
        assert rows[key]["req_per_s"] > 0
        assert rows[key]["p99_ms"] >= rows[key]["p50_ms"] > 0
        assert rows[key]["generator_cpu"] > 0
        assert rows[key]["server_cpu"] > 0
    assert {contender for contender, _ in rows} == {"riskline", "fixed-uvicorn"}
    assert all(row["rounds"] or row["not_measured"] for row in rows.values())
    assert "python -m loadtest.bench --quick --only fixed-uvicorn riskline" in (out / "results.md").read_text()
    assert (out / "results.png").read_bytes().startswith(b"\x89PNG")
