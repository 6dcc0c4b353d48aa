"""The container's entrypoint, without a container."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.server import HOST, Server
from serving.container import DRAIN_S, StartError, check_free, command, is_healthy, model, port, record

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 8080),
        ({"PORT": ""}, 8080),
        ({"PORT": "9000"}, 9000),
        ({"PORT": "9000", "SAGEMAKER_BIND_TO_PORT": "9001"}, 9001),
    ],
)
def test_the_port_that_sagemaker_asks_for_goes_before_the_configured_one(
    environment: dict[str, str], expected: int
) -> None:
    assert port(environment) == expected


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "80.5", "٨٠", "8080 "])
def test_what_is_no_port_is_named_with_its_key(value: str) -> None:
    with pytest.raises(StartError, match=r"^SAGEMAKER_BIND_TO_PORT=.* is no port"):
        port({"SAGEMAKER_BIND_TO_PORT": value})


def test_a_mounted_model_goes_before_the_configured_one_and_that_before_the_one_in_the_image(tmp_path: Path) -> None:
    mounted, absent = tmp_path / "model", tmp_path / "absent"
    mounted.mkdir()
    (mounted / "manifest.json").touch()
    assert model({"RISKLINE_MODEL": "/mine"}, mounted) == {"RISKLINE_MODEL": str(mounted)}
    assert model({"RISKLINE_MODEL": "/mine"}, absent) == {"RISKLINE_MODEL": "/mine"}
    assert model({}, absent, Path("/built-in")) == {"RISKLINE_MODEL": "/built-in"}


def test_the_model_in_the_image_does_not_stand_in_for_one_that_did_not_arrive(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=f"{tmp_path} is empty; mount a model there, or set RISKLINE_MODEL=/built-in "):
        model({}, tmp_path, Path("/built-in"))
    assert model({"RISKLINE_MODEL": "/built-in"}, tmp_path) == {"RISKLINE_MODEL": "/built-in"}


def test_nor_does_it_answer_on_a_multi_model_endpoint_that_starts_with_nothing(tmp_path: Path) -> None:
    several, stands_in = (
        {"SAGEMAKER_MULTI_MODEL": "true"},
        {"RISKLINE_MODEL": "/built-in", "RISKLINE_NAMED_ONLY": "true"},
    )
    for mounted in (tmp_path, tmp_path / "absent"):
        assert model(several, mounted, Path("/built-in")) == stands_in
        assert model({**several, "RISKLINE_MODEL": "/mine"}, mounted) == {"RISKLINE_MODEL": "/mine"}


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_it_serves_by_itself_on_all_interfaces_and_drains_in_time(arguments: list[str]) -> None:
    program = command(arguments, {"PORT": "9000"})
    assert program[1:5] == ["-m", "bentoml", "serve", "service:Riskline"]
    assert program[5:] == ["--host", "0.0.0.0", "--port", "9000", "--timeout-graceful-shutdown", str(DRAIN_S)]
    assert DRAIN_S < 25


def test_what_follows_the_command_is_passed_on() -> None:
    assert command(["serve", "--backlog", "9"], {"BENTOML_HOST": "::1"})[-2:] == ["--backlog", "9"]
    assert command(["score", "in", "out"], {})[1:] == ["-m", "model.score", "in", "out"]


def test_another_command_is_refused_with_the_known_ones() -> None:
    with pytest.raises(StartError, match="'train' is no command; the image knows `serve`"):
        command(["train"], {})


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"port {number} cannot be taken .*; set PORT to another"):
            check_free(HOST, number)
    check_free(HOST, number)


def test_an_error_is_one_line_and_a_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving.container", "train"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("riskline: 'train' is no command")


def test_nothing_listening_is_not_healthy() -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        number = probe.getsockname()[1]
    assert not is_healthy(HOST, number)


@pytest.mark.slow
def test_a_running_service_is_healthy(server: Server) -> None:
    number = int(server.url.rsplit(":", 1)[1])
    assert is_healthy(HOST, number)
    assert is_healthy("0.0.0.0", number)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "none"),
        ({"RISKLINE_DECISIONS": "/var/lib/riskline"}, "durable"),
        ({"RISKLINE_RECORD": "async"}, "async"),
        ({"RISKLINE_DECISIONS": "/var/lib/riskline", "RISKLINE_RECORD": "none"}, "none"),
    ],
)
def test_decisions_are_recorded_where_there_is_a_place_for_them(environment: dict[str, str], expected: str) -> None:
    assert record(environment) == expected
