"""What was measured, as rows: the median over the rounds, the flat JSON list, and the ratios that matter."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from loadtest.bench_offline import OfflineSample
from loadtest.bench_plan import TARGETS, Target
from loadtest.bench_wrk import Sample

GENERATOR_BUSY = 0.9  # of a core: wrk has one thread, and from here on the figure is as much its own as the server's
MACHINE_BUSY = 0.9  # of all cores: the server and wrk took them from each other


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results; None where a figure has no meaning, or was not measured for the reason given.

    Figures are medians over `rounds`. CPU is in cores, the memory that of the largest process.
    """

    contender: str
    workload: str
    req_per_s: float | None = None
    rows_per_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    rounds: int = 0
    req_per_s_min: float | None = None
    req_per_s_max: float | None = None
    rows_per_s_min: float | None = None
    rows_per_s_max: float | None = None
    generator_cpu: float | None = None
    server_cpu: float | None = None
    peak_rss_mib: float | None = None
    note: str | None = None
    not_measured: str | None = None


def online_row(contender: str, workload: str, rows: int, samples: Sequence[Sample], cores: int) -> Row:
    """`rows` applications a request, on a machine with `cores`."""
    rates = [sample.req_per_s for sample in samples]
    generator = median(sample.generator_cpu for sample in samples)
    server = median(sample.server_cpu for sample in samples)
    return Row(
        contender,
        workload,
        req_per_s=round(median(rates), 1),
        rows_per_s=round(median(rates) * rows, 1),
        p50_ms=round(median(sample.p50_ms for sample in samples), 3),
        p99_ms=round(median(sample.p99_ms for sample in samples), 3),
        rounds=len(samples),
        req_per_s_min=round(min(rates), 1),
        req_per_s_max=round(max(rates), 1),
        rows_per_s_min=round(min(rates) * rows, 1),
        rows_per_s_max=round(max(rates) * rows, 1),
        generator_cpu=round(generator, 2),
        server_cpu=round(server, 2),
        note=_note(generator, server, cores),
    )


def _note(generator: float, server: float, cores: int) -> str | None:
    if generator >= GENERATOR_BUSY:
        return "wrk was busy throughout: the server may do more"
    if generator + server >= MACHINE_BUSY * cores:
        return f"wrk and the server shared all {cores} cores: with wrk elsewhere the server does more"
    return None


def offline_row(contender: str, workload: str, samples: Sequence[OfflineSample]) -> Row:
    rates = [sample.rows_per_s for sample in samples]
    return Row(
        contender,
        workload,
        rows_per_s=round(median(rates), 1),
        rounds=len(samples),
        rows_per_s_min=round(min(rates), 1),
        rows_per_s_max=round(max(rates), 1),
        peak_rss_mib=max(sample.peak_rss_mib for sample in samples),
    )


def as_json(rows: Sequence[Row]) -> str:
    """A flat list of objects, one a line."""
    return "[\n" + ",\n".join(json.dumps(asdict(row)) for row in rows) + "\n]\n"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A target held against the rows; `value` is None where one of its two figures was not measured."""

    target: Target
    value: float | None

    @property
    def wanted(self) -> str:
        if self.target.bound is None:
            return "-"
        return f"{'≤' if self.target.figure.endswith('_ms') else '≥'} {self.target.bound:g}"

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        met = self.target.met(self.value)
        return "-" if met is None else "yes" if met else "no"


def ratios(rows: Sequence[Row], targets: Sequence[Target] = TARGETS) -> list[Ratio]:
    found = {(row.contender, row.workload): row for row in rows}
    return [Ratio(target, _ratio(found, target)) for target in targets]


def _ratio(found: Mapping[tuple[str, str], Row], target: Target) -> float | None:
    figures = [getattr(found.get(key), target.figure, None) for key in (target.of, target.against)]
    of, against = figures
    return of / against if of is not None and against else None
