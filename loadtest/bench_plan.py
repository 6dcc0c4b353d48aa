"""What the side-by-side benchmark compares, as data: contenders, workloads, how long, and the targets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BATCH_ROWS = 1000
MOST_ROWS = 1_000_000
JSON = "application/json"
ONE, UNDER_BULK, EXPLAINED = "single", "single-under-bulk", "single-explained"
CROWD = "single-64conn"  # as many as share a write to disk under load
OFFLINE, CONTRIBUTIONS = "offline-parquet", "bulk-contributions"

# bodies of raw fields, of ready features as one tensor, or of raw fields with a tensor for each
Dialect = Literal["application", "tensor", "tensors"]


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests of `rows` applications each, over as many connections as wrk keeps open."""

    name: str
    rows: int
    connections: int = 8
    content_type: str = JSON
    query: str = ""


WORKLOADS = (
    Workload(ONE, 1),
    Workload("single-1conn", 1, connections=1),
    Workload(CROWD, 1, connections=64),
    Workload(EXPLAINED, 1, query="?explain=true"),
    Workload("batch1000-json", BATCH_ROWS),
    Workload("batch1000-explained", BATCH_ROWS, query="?explain=true"),
    Workload("batch1000-jsonl", BATCH_ROWS, content_type="application/jsonlines"),
    Workload("batch1000-csv", BATCH_ROWS, content_type="text/csv"),
    Workload("batch1000-arrow", BATCH_ROWS, content_type="application/vnd.apache.arrow.stream"),
    Workload("batch1000-parquet", BATCH_ROWS, content_type="application/x-parquet"),
)
_BATCH = "batch1000-json"
_SINGLES = (ONE, "single-1conn")
_JSON = (*_SINGLES, "batch1000-json")
_ALL = tuple(workload.name for workload in WORKLOADS)

_BENTOML = ("{python}", "-m", "bentoml", "serve")
_BENTOML_OPTIONS = ("--host", "127.0.0.1", "--port")
_UVICORN = (
    *("{python}", "-m", "uvicorn", "app:app", "--host", "127.0.0.1"),
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--port"),
)
_NOT_RECORDED = {"RISKLINE_RECORD": "none"}  # the others keep nothing either
_RISKLINE = (*_BENTOML, "service:Riskline", *_BENTOML_OPTIONS)
# The limits only bound what may come in; one of the workloads brings a million rows
_LIMITS = {"RISKLINE_MAX_ROWS": str(MOST_ROWS), "RISKLINE_MAX_BODY_MB": "256"}


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A server: `command` runs in the environment of loadtest/contenders/`folder`, or in this one where that is "".

    Words in braces stand for paths: {python} and {bin} of the environment, {model}, {pipeline} and {booster}. The port
    is appended to the command. `same_graph`: its answers must equal those of the artefact.
    """

    name: str
    folder: str
    command: tuple[str, ...]
    workloads: tuple[str, ...]
    quick: tuple[str, ...]  # those of `workloads` that --quick measures too
    environment: Mapping[str, str] = field(default_factory=dict)
    same_graph: bool = True
    dialect: Dialect = "application"
    ready_path: str = "/readyz"


SERVERS = (
    Contender(
        "riskline", "", _RISKLINE, _ALL, _ALL,
        {"RISKLINE_MODEL": "{model}", "RISKLINE_WORKERS": "1", **_LIMITS, **_NOT_RECORDED},
    ),
    Contender(
        "riskline-recorded", "", _RISKLINE, (*_SINGLES, CROWD, _BATCH), (CROWD, _BATCH),
        {"RISKLINE_MODEL": "{model}", "RISKLINE_WORKERS": "1", **_LIMITS},
    ),
    Contender(
        "riskline-logged", "", _RISKLINE, (ONE,), (ONE,),
        {"RISKLINE_MODEL": "{model}", "RISKLINE_WORKERS": "1", "RISKLINE_LOG_DECISIONS": "0.01", **_NOT_RECORDED},
    ),
    Contender(
        "riskline-unwatched", "", (*_BENTOML, "loadtest.unwatched:Riskline", *_BENTOML_OPTIONS), (ONE,), (ONE,),
        {"RISKLINE_MODEL": "{model}", "RISKLINE_WORKERS": "1", **_NOT_RECORDED},
    ),
    Contender(
        "riskline-lane-off", "", _RISKLINE, _JSON, (),
        {"RISKLINE_MODEL": "{model}", "RISKLINE_WORKERS": "1", "RISKLINE_FAST_LANE": "false", **_NOT_RECORDED},
    ),
    Contender(
        "riskline-two-workers", "", _RISKLINE, (ONE,), (ONE,),
        {"RISKLINE_MODEL": "{model}", "RISKLINE_WORKERS": "2", **_NOT_RECORDED},
    ),
    Contender(
        "riskline-v2", "", _RISKLINE, _SINGLES, _SINGLES,
        {"RISKLINE_MODEL": "{model}", "RISKLINE_WORKERS": "1", **_NOT_RECORDED}, dialect="tensors",
    ),
    Contender(
        "bentoml-stock", "bentoml_stock", (*_BENTOML, "service:Stock", *_BENTOML_OPTIONS), _JSON, _JSON,
        {"MODEL": "{model}"},
    ),
    Contender(
        "bentoml-tuned", "bentoml_stock", (*_BENTOML, "tuned:Tuned", *_BENTOML_OPTIONS), _JSON, (),
        {"MODEL": "{model}"},
    ),
    Contender(
        "bentoml-contribs", "bentoml_contribs", (*_BENTOML, "service:Contribs", *_BENTOML_OPTIONS), (EXPLAINED,),
        (EXPLAINED,), {"BOOSTER": "{booster}"}, same_graph=False,
    ),
    Contender("fastapi-onnx", "fastapi_onnx", _UVICORN, _JSON, (ONE, "batch1000-json"), {"MODEL": "{model}"}),
    Contender(
        "fastapi-pandas", "fastapi_pandas", _UVICORN, _JSON, (),
        {"MODEL": "{model}", "PIPELINE": "{pipeline}", "OMP_NUM_THREADS": "1"}, same_graph=False,
    ),
    Contender(
        # it takes its port from the environment alone; port 0 has gRPC choose a free one
        "mlserver", "mlserver", ("/bin/sh", "-c", 'MLSERVER_HTTP_PORT="$1" exec "$0" start .', "{bin}/mlserver"),
        _JSON, ("batch1000-json",),
        {"MLSERVER_MODEL_URI": "{booster}", "MLSERVER_GRPC_PORT": "0", "OMP_NUM_THREADS": "1"},
        same_graph=False, dialect="tensor", ready_path="/v2/health/ready",
    ),
    Contender(
        "fixed-in-lane", "fixed_in_lane", (*_BENTOML, "service:Fixed", *_BENTOML_OPTIONS), _SINGLES, (ONE,),
        same_graph=False,
    ),
    Contender("fixed-uvicorn", "fixed_uvicorn", _UVICORN, _SINGLES, (), same_graph=False),
)  # fmt: skip

# Programs instead of servers, by contender and workload; the first is `python -m model.score`, the others are in
# loadtest/contenders/offline
OFFLINE_PROGRAMS = (
    ("riskline", OFFLINE),
    ("onnxruntime-alone", OFFLINE),
    ("xgboost-native", OFFLINE),
    ("riskline", CONTRIBUTIONS),
    ("xgboost-native", CONTRIBUTIONS),
)
NAMES = tuple(dict.fromkeys([*(server.name for server in SERVERS), *(name for name, _ in OFFLINE_PROGRAMS)]))


@dataclass(frozen=True, slots=True)
class Effort:
    """How long everything is measured. Every round measures each contender once."""

    rounds: int
    seconds: int  # of a run; wrk takes whole ones
    warm_up_s: int  # before each run
    offline_rows: int
    offline_rounds: int
    bulk_rows: int  # in each of the bodies that disturb the others
    bulk_s: int


FULL = Effort(
    rounds=5, seconds=6, warm_up_s=1, offline_rows=10_000_000, offline_rounds=3, bulk_rows=MOST_ROWS, bulk_s=20
)
QUICK = Effort(
    rounds=3, seconds=2, warm_up_s=1, offline_rows=1_000_000, offline_rounds=1, bulk_rows=MOST_ROWS, bulk_s=5
)

Figure = Literal["req_per_s", "rows_per_s", "p50_ms", "p99_ms"]


@dataclass(frozen=True, slots=True)
class Target:
    """`of` divided by `against` must be at least, or for a latency at most, `bound`; None only shows the ratio."""

    figure: Figure
    of: tuple[str, str]  # contender, workload
    against: tuple[str, str]
    bound: float | None

    def met(self, ratio: float) -> bool | None:
        if self.bound is None:
            return None
        return ratio <= self.bound if self.figure.endswith("_ms") else ratio >= self.bound


TARGETS = (
    Target("req_per_s", ("riskline", ONE), ("bentoml-stock", ONE), 7),
    Target("req_per_s", ("riskline", ONE), ("bentoml-tuned", ONE), None),
    Target("req_per_s", ("riskline", ONE), ("fastapi-onnx", ONE), 2.5),
    Target("req_per_s", ("riskline", ONE), ("fixed-in-lane", ONE), 0.45),
    Target("p99_ms", ("riskline", ONE), ("bentoml-stock", ONE), 0.2),
    Target("req_per_s", ("riskline-two-workers", ONE), ("riskline", ONE), 1.6),
    Target("p50_ms", ("riskline-v2", "single-1conn"), ("riskline", "single-1conn"), 1.15),
    Target("req_per_s", ("riskline-v2", ONE), ("riskline", ONE), None),
    Target("rows_per_s", ("riskline", _BATCH), ("bentoml-stock", _BATCH), 5),
    Target("rows_per_s", ("riskline", _BATCH), ("mlserver", _BATCH), 1),
    Target("rows_per_s", ("riskline", "batch1000-arrow"), ("riskline", _BATCH), 2),
    Target("rows_per_s", ("riskline", "batch1000-parquet"), ("riskline", _BATCH), 2),
    Target("rows_per_s", ("riskline", OFFLINE), ("onnxruntime-alone", OFFLINE), 0.6),
    Target("req_per_s", ("riskline", EXPLAINED), ("riskline", ONE), 0.55),
    Target("req_per_s", ("riskline", EXPLAINED), ("bentoml-contribs", EXPLAINED), 10),
    Target("rows_per_s", ("riskline", CONTRIBUTIONS), ("xgboost-native", CONTRIBUTIONS), 3),
    Target("req_per_s", ("riskline-recorded", CROWD), ("riskline", CROWD), 0.6),
    Target("p50_ms", ("riskline-recorded", CROWD), ("riskline", CROWD), None),
    Target("rows_per_s", ("riskline-recorded", _BATCH), ("riskline", _BATCH), 0.5),
    Target("req_per_s", ("riskline-logged", ONE), ("riskline-unwatched", ONE), 0.9),
    Target("p99_ms", ("riskline", UNDER_BULK), ("riskline", ONE), None),
)
