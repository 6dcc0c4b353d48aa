"""Hot reload as an operator does it: a real server with two workers under load, by signal and by route."""

import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from loadtest.server import Server, running_server
from model.artifact import GOLDEN, Artifact, verify, with_policy
from model.storage import write_folder
from serving.keys import new_key, read_keys, write_keys
from tests.generated import EXAMPLE
from tests.serving.test_promotion import load
from tests.serving.test_server import eventually

pytestmark = pytest.mark.slow

RELOADS = 20


class Place:
    """What the server serves, and two keys."""

    def __init__(self, folder: Path) -> None:
        self.model, self.keys, self.overrides = folder / "model", folder / "keys.json", folder / "live.json"
        self.text, key = new_key("all", ["score", "operate", "read"])
        write_keys(self.keys, [key])
        self.overrides.write_text("{}")

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.text}"}


@pytest.fixture
def place(tmp_path: Path, model_folder: Path) -> Place:
    made = Place(tmp_path)
    shutil.copytree(model_folder, made.model)
    return made


@pytest.fixture
def server(place: Place) -> Iterator[Server]:
    settings = {"RISKLINE_WORKERS": "2", "RISKLINE_MODEL": str(place.model), "RISKLINE_LIVE": str(place.overrides)}
    with running_server(settings) as running:
        yield running


@pytest.fixture
def guarded(place: Place) -> Iterator[Server]:
    settings = {"RISKLINE_WORKERS": "2", "RISKLINE_MODEL": str(place.model), "RISKLINE_KEYS": str(place.keys)}
    with running_server(settings) as running:
        yield running


def policies(server: Server, headers: Mapping[str, str] | None = None, connections: int = 12) -> set[str]:
    """What answers on so many new connections, which are spread over both workers."""
    clients = [httpx.Client(base_url=server.url, headers=headers) for _ in range(connections)]
    found = {client.post("/predict", json=EXAMPLE).json().get("policy_version", "none") for client in clients}
    for client in clients:
        client.close()
    return found


def test_twenty_reloads_under_load_lose_no_request_and_mix_no_answer(
    server: Server, place: Place, artifact: Artifact
) -> None:
    policy = artifact.policy.model_copy(update={"high_from": artifact.policy.low_below})
    other = verify(with_policy(artifact, policy), "the other")
    answers: list[tuple[int, str]] = []
    with load(server, answers):
        for number in range(RELOADS):
            now = (other, artifact)[number % 2]
            write_folder(now.files, place.model)
            if number % 4 < 2:
                answer = httpx.post(f"{server.url}/reload", timeout=60)
                assert (answer.status_code, answer.json()["policy_version"]) == (200, now.policy_version)
                assert policies(server) == {now.policy_version}
            else:
                os.kill(server.pid, signal.SIGHUP)
                eventually(lambda now=now: policies(server) == {now.policy_version})  # type: ignore[misc]
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {artifact.model_version}


def test_a_damaged_model_is_refused_and_a_worker_that_starts_then_has_the_good_one(
    server: Server, place: Place, artifact: Artifact
) -> None:
    (place.model / GOLDEN).write_bytes(b"[]")
    refused = httpx.post(f"{server.url}/reload", timeout=60)
    assert (refused.status_code, refused.json()["error"]) == (409, "reload_refused")
    assert "golden" in refused.json()["message"]
    assert policies(server) == {artifact.policy_version}
    victims = psutil.Process(server.pid).children()
    for victim in victims:
        victim.kill()

    def replaced() -> bool:
        with suppress(httpx.TransportError):
            return policies(server) == {artifact.policy_version}
        return False

    eventually(replaced)


def test_the_log_level_changes_by_a_file_and_what_else_is_in_it_is_refused(server: Server, place: Place) -> None:
    place.overrides.write_text(json.dumps({"log_level": "debug"}))
    assert httpx.post(f"{server.url}/reload", timeout=60).json()["log_level"] == "debug"
    place.overrides.write_text(json.dumps({"workers": 9}))
    refused = httpx.post(f"{server.url}/reload", timeout=60)
    assert refused.status_code == 409
    assert "only model and log_level can change" in refused.json()["message"]


def test_keys_are_rotated_without_a_restart_and_the_route_wants_the_scope_operate(
    guarded: Server, place: Place
) -> None:
    text, key = new_key("shop", ["score"])
    write_keys(place.keys, [*read_keys(place.keys), key])
    shop = {"authorization": f"Bearer {text}"}
    eventually(lambda: "none" not in policies(guarded, shop))
    assert httpx.post(f"{guarded.url}/reload", headers=shop).status_code == 403
    assert httpx.post(f"{guarded.url}/reload", headers=place.bearer, timeout=60).status_code == 200
    write_keys(place.keys, [old for old in read_keys(place.keys) if old.id != "shop"])
    eventually(lambda: policies(guarded, shop) == {"none"})
    place.keys.write_text("{")  # whoever is half way through writing it
    refused = httpx.post(f"{guarded.url}/reload", headers=place.bearer, timeout=60)
    assert (refused.status_code, "no file of keys" in refused.json()["message"]) == (409, True)
