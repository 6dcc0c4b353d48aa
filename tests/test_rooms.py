"""Who may import whom: imports only point down the list of rooms."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# room → what of the project it may import besides itself
ALLOWED = {
    "service.py": {"serving", "decisions", "model", "preprocessing"},
    "serving": {"decisions", "model", "preprocessing"},
    "decisions": {"model", "preprocessing"},
    "model": {"preprocessing"},
    "preprocessing": set(),
    "riskline_client": set(),
    "loadtest": {"serving", "decisions", "model", "preprocessing", "riskline_client"},
    "requirements": {"serving", "model"},
    "examples": set(),
}
# A program at the top is one more edge around the spine: it may look up, because nobody imports it.
PROGRAMS = {
    "model/portable.py": {"serving"},
    "model/score.py": {"serving"},
    "model/train.py": {"decisions"},
    "decisions/replay.py": {"serving"},
    "loadtest/unwatched.py": {"service"},
}
ROOMS = {*(room.removesuffix(".py") for room in ALLOWED), "tests"}
# file → what only it (and the others named beside the library) may import
ONLY = {
    "xgboost": {"model/train.py", "model/export.py"},
    "sklearn": {"model/train.py", "model/evaluate.py", "model/scorecard.py"},
    "ndonnx": {"model/export.py"},
    "onnx": {"model/export.py", "model/lookup.py", "model/monotone.py", "model/portable.py", "model/portable_graph.py"},
    "fairlearn": {"model/fairness.py"},
    "pyarrow": {
        "decisions/analytics.py", "decisions/archive.py", "decisions/archive_columns.py",
        "decisions/archive_tables.py",
        "model/adopt.py", "model/adopt_columns.py", "model/data.py", "model/places.py", "model/source.py",
        "model/spelled.py",
        "preprocessing/columns.py", "preprocessing/tables.py", "preprocessing/words.py",
        "riskline_client/tables.py", "serving/offline.py",
        "serving/tables.py",
    },
    "msgspec": {
        "decisions/archive_columns.py", "decisions/journal.py", "decisions/record.py",
        "preprocessing/channels/json_body.py",
        "preprocessing/json_columns.py", "preprocessing/plain.py", "serving/replay.py", "serving/v2_tensors.py",
    },
    "duckdb": {"decisions/analytics.py"},
    "onnxruntime": {"model/graph.py"},
    "prometheus_client": {"serving/drift_metrics.py", "serving/gathered.py", "serving/metrics.py"},
    "boto3": {"decisions/dynamodb.py", "serving/remote.py"},
    "botocore": {"decisions/dynamodb.py", "serving/remote.py"},
    "ray": {"serving/offline_ray.py"},
    "opentelemetry": {"serving/tracing.py"},
    "nbclient": {"examples/execute.py"},
    "pandas": set(),
}  # fmt: skip


def sources() -> list[Path]:
    every = [ROOT / "service.py"] + [path for room in ALLOWED for path in sorted((ROOT / room).rglob("*.py"))]
    return [path for path in every if "contenders" not in path.parts]  # these are written as others write


def imported(path: Path) -> set[str]:
    """The first names of every import in the file, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    name = path.relative_to(ROOT)
    room = name.parts[0]
    ours = imported(path) & ROOMS
    assert ours <= ALLOWED[room] | {room} | PROGRAMS.get(str(name), set())
    for library, files in ONLY.items() if room != "loadtest" else ():
        assert library not in imported(path) or str(name) in files, f"{name} imports {library}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_imports_a_program(path: Path) -> None:
    programs = {name.removesuffix(".py").replace("/", ".") for name in PROGRAMS}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert programs.isdisjoint(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert programs.isdisjoint({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})


@pytest.mark.parametrize("path", sorted((ROOT / "riskline_client").glob("*.py")), ids=lambda path: path.name)
def test_the_client_needs_httpx_and_where_it_takes_columns_pyarrow(path: Path) -> None:
    theirs = imported(path) - sys.stdlib_module_names - {"riskline_client"}
    assert theirs <= {"httpx"} | ({"pyarrow"} if path.name == "tables.py" else set())


def loaded_by(module: str) -> set[str]:
    script = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_service_loads_no_training_library() -> None:
    loaded = loaded_by("service")
    assert {"bentoml", "onnxruntime", "numpy"} <= loaded
    assert loaded.isdisjoint(
        {"xgboost", "sklearn", "scipy", "pandas", "pyarrow", "onnx", "ndonnx", "fairlearn", "boto3"}
    )


def test_offline_scoring_loads_no_training_library() -> None:
    loaded = loaded_by("model.score")
    assert {"onnxruntime", "pyarrow"} <= loaded
    # pandas is missing from the list because pyarrow itself imports it wherever it finds it, which is beside fairlearn
    assert loaded.isdisjoint({"xgboost", "sklearn", "scipy", "onnx", "ndonnx", "bentoml", "fairlearn", "ray"})


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_security_finding_that_is_silenced_has_a_reason(path: Path) -> None:
    assert re.findall(r"# noqa: S\d+(?!\d| - ).*", path.read_text()) == []
