"""The image as SageMaker and careful operators run it: read-only, without rights, limited."""

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from loadtest.container import Container, running_container
from loadtest.container_footprint import footprint
from loadtest.drain import ended_under_load
from loadtest.server import HOST, READY_WITHIN_S, ServerNotReadyError
from model.artifact import GRAPH, Artifact
from model.storage import MANIFEST
from preprocessing.encode import encode
from preprocessing.schema import Application
from tests.generated import EXAMPLE
from tests.lab.engine import Engine

pytestmark = [pytest.mark.slow, pytest.mark.container]

MOUNTED = "/opt/ml/model"
MOST_MIB_WHEN_IDLE = 250
BULK_ROWS = 200_000  # more than a second of work, and far less than the time to drain
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
Other = tuple[Path, Artifact]


def eventually(true: Callable[[], bool], within_s: float = READY_WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.05)


def workers(container: Container) -> int:
    listed = container.docker("top", container.name, "-o", "pid,args")
    return sum("_bentoml_impl.worker" in line for line in listed.splitlines())


@pytest.mark.parametrize("user", ["1000:1000", "0:0", "54321:0"])
def test_it_serves_the_mounted_model_as_any_user_and_can_write_nowhere(
    engine: Engine, image: str, other: Other, user: str
) -> None:
    folder, artifact = other
    options = [f"--user={user}", "--health-interval=1s"]
    with running_container(engine.docker, image, options=options, mounts={folder: MOUNTED}) as container:
        answer = httpx.post(f"{container.url}/predict", json=EXAMPLE).json()
        assert answer["model_version"] == artifact.model_version
        assert answer["probability"] == artifact.score(encode([Application.model_validate(EXAMPLE)]).matrix)[0]
        batch = {"applications": [EXAMPLE, {**EXAMPLE, "age": 7}]}
        scored, refused = httpx.post(f"{container.url}/predict_batch", json=batch).json()["results"]
        assert scored["probability"] == answer["probability"]
        assert refused["error"] == "invalid_application"
        # a body that waits on disk, and metrics in files: both need the writable /tmp
        rows = (json.dumps(EXAMPLE) + "\n").encode() * 10_000
        headers = {"content-type": "application/jsonlines"}
        assert (
            httpx.post(f"{container.url}/predict_batch", content=rows, headers=headers, timeout=60).text.count("\n")
            == 10_000
        )
        assert "riskline_model_info" in httpx.get(f"{container.url}/metrics").text
        for place in ("/opt/riskline", "/opt/riskline/application", MOUNTED, "/etc", "/var/tmp"):
            refusal = container.execute("touch", f"{place}/new", check=False)
            assert "Read-only file system" in refusal or "Permission denied" in refusal
        eventually(lambda: container.inspect("{{.State.Health.Status}}") == "healthy")


def test_without_a_mounted_model_it_serves_the_one_trained_at_build(served: Container, artifact: Artifact) -> None:
    assert httpx.post(f"{served.url}/predict", json=EXAMPLE).json()["model_version"] == artifact.model_version


def test_serving_needs_no_network(engine: Engine, image: str) -> None:
    ask = (
        "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8080)\n"
        "c.request('POST', '/predict', sys.argv[1], {'content-type': 'application/json'})\n"
        "print(c.getresponse().read().decode())"
    )
    environment = {"SAGEMAKER_BIND_TO_PORT": "", "PORT": "8080"}
    with running_container(
        engine.docker, image, command=[], network="none", env=environment, ready_path=None
    ) as container:
        check = ("sh", "-c", "python -m serving.container health && echo ready")
        eventually(lambda: container.execute(*check, check=False) == "ready")
        assert json.loads(container.execute("python", "-c", ask, json.dumps(EXAMPLE)))["tier"] in (
            "low",
            "medium",
            "high",
        )


def test_workers_follow_the_limit_and_not_the_machine(engine: Engine, image: str, served: Container) -> None:
    assert workers(served) == 1
    machine = len(psutil.Process().cpu_affinity() or [0])
    with running_container(engine.docker, image, options=[f"--cpus={machine}", "--memory=2g"]) as container:
        assert workers(container) == machine
    with running_container(engine.docker, image, options=[f"--cpus={machine}", "--cpuset-cpus=0"]) as container:
        assert workers(container) == 1


def test_it_is_lean_when_idle(engine: Engine, image: str) -> None:
    assert footprint(engine.docker, image)["MiB of memory when idle, one worker"] < MOST_MIB_WHEN_IDLE


def damaged(folder: Path) -> None:
    (folder / GRAPH).write_bytes((folder / GRAPH).read_bytes()[:-1])


def foreign(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "xgboost-model").write_bytes(b"\x80\x04N.")


def of_another_schema(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["fields"].pop()
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (damaged, f"{MOUNTED}: {GRAPH} is not what the manifest says (sha256); copy the model again"),
        (foreign, f"{MOUNTED} is not a Riskline model: it has no {MANIFEST}; train again with `make train`"),
        (of_another_schema, f"{MOUNTED} was trained for another schema"),
    ],
)
def test_what_is_no_model_ends_start_up_in_one_line(
    engine: Engine, image: str, other: Other, tmp_path: Path, spoil: Callable[[Path], None], expected: str
) -> None:
    shutil.copytree(other[0], tmp_path / "model")
    spoil(tmp_path / "model")
    assert expected in last_words(engine, image, {}, {tmp_path / "model": MOUNTED})


def test_a_model_that_did_not_arrive_is_not_replaced_by_the_one_in_the_image(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    assert f"{MOUNTED} is empty; mount a model there" in last_words(engine, image, {}, {tmp_path / "model": MOUNTED})


def test_a_multi_model_endpoint_starts_with_nothing_and_answers_with_what_it_is_given(
    engine: Engine, image: str, other: Other, tmp_path: Path
) -> None:
    folder, artifact = other
    (tmp_path / "model").mkdir()
    mounts = {tmp_path / "model": MOUNTED, folder: "/opt/ml/models/a/model"}
    env = {"SAGEMAKER_MULTI_MODEL": "true"}
    with running_container(engine.docker, image, env=env, mounts=mounts, ready_path="/ping") as container:
        for path in ("/invocations", "/predict"):
            refused = httpx.post(container.url + path, json=EXAMPLE)
            assert (refused.status_code, refused.json()["error"]) == (404, "not_found")
        load = {"model_name": "a", "url": "/opt/ml/models/a/model"}
        assert httpx.post(f"{container.url}/models", json=load).status_code == 200
        answer = httpx.post(f"{container.url}/models/a/invoke", json=EXAMPLE)
        assert answer.json()["model_version"] == artifact.model_version


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, "SAGEMAKER_BIND_TO_PORT='http' is no port"),
        ({"RISKLINE_WORKERS": "many"}, "RISKLINE_WORKERS='many' does not fit"),
        ({"RISKLINE_MODEL": "/no/such/model"}, "there is no model at /no/such/model"),
    ],
)
def test_a_wrong_setting_ends_start_up_in_one_line(
    engine: Engine, image: str, env: dict[str, str], expected: str
) -> None:
    assert expected in last_words(engine, image, env)


def test_a_taken_port_ends_start_up_in_one_line(engine: Engine, image: str) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} cannot be taken" in last_words(engine, image, {"SAGEMAKER_BIND_TO_PORT": port})


def last_words(engine: Engine, image: str, env: dict[str, str], mounts: dict[Path, str] | None = None) -> str:
    """The one line with which the container refuses to start."""
    with (
        pytest.raises(ServerNotReadyError, match="the container ended with code 1 before") as caught,
        running_container(engine.docker, image, env=env, mounts=mounts),
    ):
        pass
    [_, line] = str(caught.value).splitlines()
    assert line.startswith("riskline: ")
    return line


def test_sigterm_under_load_loses_nothing_that_was_under_way(engine: Engine, image: str) -> None:
    body = json.dumps(EXAMPLE).encode()
    bulk: list[str] = []

    def ask_in_bulk() -> None:
        headers = {"content-type": "application/jsonlines"}
        content = (body + b"\n") * BULK_ROWS
        bulk.append(httpx.post(f"{container.url}/predict_batch", content=content, headers=headers, timeout=60).text)

    with running_container(engine.docker, image, options=["--memory=1g"]) as container, ExitStack() as stack:
        half = len(body) // 2
        started = [stack.enter_context(socket.create_connection((HOST, container.port), 60)) for _ in range(16)]
        for client in started:  # a first answer proves that the connection was accepted
            client.sendall(HEAD % len(body) + body)
            assert b"200 OK" in whole_answer(client)
            client.sendall(HEAD % len(body) + body[:half])
        in_bulk = threading.Thread(target=ask_in_bulk)
        in_bulk.start()

        def end() -> None:
            container.docker("kill", "--signal=TERM", container.name)
            for client in started:
                client.sendall(body[half:])

        assert ended_under_load(container.port, end).lost == []
        assert all(b"200 OK" in whole_answer(client) for client in started)
        assert container.stop() == 0, "it had to be killed"
        in_bulk.join(60)
    assert bulk[0].count('"tier"') == BULK_ROWS


def whole_answer(client: socket.socket) -> bytes:
    heard = b""
    while not heard.endswith(b"}"):
        chunk = client.recv(65536)
        assert chunk, "the connection was closed without an answer"
        heard += chunk
    return heard


def test_offline_jobs_run_from_the_same_image(engine: Engine, image: str, tmp_path: Path) -> None:
    row = ",".join(map(str, EXAMPLE.values()))
    bad = ",".join(map(str, {**EXAMPLE, "age": 7}.values()))
    (tmp_path / "in.csv").write_text("\n".join([",".join(EXAMPLE), row, bad, row]) + "\n")
    tmp_path.chmod(0o777)
    with running_container(
        engine.docker,
        image,
        command=["score", "/data/in.csv", "/data/out.parquet"],
        options=[f"--volume={tmp_path}:/data"],
        network="none",
        ready_path=None,
    ) as container:
        assert container.docker("wait", container.name, within_s=60) == "2", "a row was refused"
        assert container.logs().startswith("3 rows, 1 refused")
    scores = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [score["error"] for score in scores] == [None, "invalid_application", None]
    assert scores[0]["probability"] == scores[2]["probability"]


def test_another_command_is_refused_with_the_known_ones(engine: Engine, image: str) -> None:
    with running_container(engine.docker, image, command=["train"], ready_path=None) as container:
        assert container.docker("wait", container.name, within_s=60) == "1"
        assert container.logs().startswith("riskline: 'train' is no command; the image knows `serve`")
