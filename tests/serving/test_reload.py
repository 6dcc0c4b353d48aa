"""Two workers of one server in one process, each with its own part in the agreement."""

import asyncio
import json
import logging
import shutil
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from model.artifact import GOLDEN, Artifact, verify, with_policy
from model.promotion import Note, Promotions
from model.storage import write_folder
from serving import metrics
from serving.agreement import Agreement
from serving.api import Api
from serving.keys import RING, new_key, read_keys, write_keys
from serving.live import Sources
from serving.messages import Request
from serving.reload import Reload, ReloadRefused
from serving.settings import Settings
from tests.generated import EXAMPLE


@pytest.fixture
def other(artifact: Artifact) -> Artifact:
    """The same model under another policy."""
    policy = artifact.policy.model_copy(update={"high_from": artifact.policy.low_below})
    return verify(with_policy(artifact, policy), "the other")


class Server:
    """A server of two workers, with a model, keys and overrides in files that change."""

    def __init__(self, folder: Path, model_folder: Path) -> None:
        self.model, self.keys, self.overrides = folder / "model", folder / "keys.json", folder / "live.json"
        shutil.copytree(model_folder, self.model)
        write_keys(self.keys, [new_key("first", ["score"])[1]])
        self.overrides.write_text("{}")
        self.settings = Settings(model=str(self.model), keys=str(self.keys), live=str(self.overrides))
        self.sources = Sources(self.settings, self.settings.model, Promotions(folder / "riskline"))
        self.agreement = Agreement(folder / "reload-1")
        Reload(self.agreement, self.sources).begin()
        self.workers = [self.start(), self.start()]

    def start(self, within_s: float = 30) -> tuple[Reload, Api]:
        reload = Reload(self.agreement, self.sources, within_s)
        api = Api(reload.start().artifact, self.settings)
        reload.serves(api)
        return reload, api

    async def look(self) -> None:
        await asyncio.gather(*(reload.look() for reload, _ in self.workers))

    def served(self) -> set[str]:
        return {policy_version(api) for _, api in self.workers}

    def close(self) -> None:
        for reload, api in self.workers:
            reload.close()
            api.close()
        RING.keys, logging.getLogger("riskline").level = None, logging.NOTSET


@pytest.fixture
def server(tmp_path: Path, model_folder: Path) -> Iterator[Server]:
    made = Server(tmp_path, model_folder)
    yield made
    made.close()


def policy_version(api: Api) -> str:
    request = Request({b"content-type": b"application/json"}, b"", json.dumps(EXAMPLE).encode())
    answer = asyncio.run(api.answer("/predict", request))
    assert isinstance(answer.body, bytes)
    return str(json.loads(answer.body)["policy_version"])


def held() -> set[str]:
    assert RING.keys is not None
    return {key.id for key in RING.keys}


def test_nothing_is_taken_up_where_nothing_has_changed(server: Server) -> None:
    before = server.agreement.current()
    asyncio.run(server.look())
    assert server.agreement.current() == before


def test_all_that_may_change_is_taken_up_by_all(server: Server, artifact: Artifact, other: Artifact) -> None:
    assert (server.served(), held()) == ({artifact.policy_version}, {"first"})
    write_folder(other.files, server.model)
    write_keys(server.keys, [new_key("second", ["read"])[1]])
    server.overrides.write_text('{"log_level": "debug"}')
    server.workers[0][0].ask()
    asyncio.run(server.look())
    assert (server.served(), held()) == ({other.policy_version}, {"second"})
    assert logging.getLogger("riskline").level == logging.DEBUG


def test_changed_keys_are_taken_up_without_being_asked_for(server: Server) -> None:
    write_keys(server.keys, [*read_keys(server.keys), new_key("second", ["score"])[1]])
    asyncio.run(server.look())
    assert held() == {"first", "second"}


def test_no_worker_changes_over_before_all_have_loaded_it(server: Server, artifact: Artifact, other: Artifact) -> None:
    write_folder(other.files, server.model)
    server.workers[0][0].ask()

    async def one_after_the_other() -> None:
        first = asyncio.create_task(server.workers[0][0].look())
        while not server.agreement.waiting_for(""):  # the first has loaded it, the second has not looked
            await asyncio.sleep(0.01)
        assert {api.artifact.version for _, api in server.workers} == {artifact.version}
        await server.workers[1][0].look()
        await first

    asyncio.run(one_after_the_other())
    assert server.served() == {other.policy_version}


@pytest.mark.parametrize("what", ["model", "keys", "overrides"])
def test_what_does_not_verify_is_taken_up_by_nobody(
    server: Server, artifact: Artifact, files: Mapping[str, bytes], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refused() -> float:
        metrics.flush()
        return REGISTRY.get_sample_value("riskline_promotions_total", {"result": "refused"}) or 0

    before, current = refused(), server.agreement.current()
    if what == "model":
        (server.model / GOLDEN).write_bytes(files[GOLDEN][:-1])
    else:
        getattr(server, what).write_text("{")
    server.workers[0][0].ask()
    asyncio.run(server.look())
    assert (server.served(), held()) == ({artifact.policy_version}, {"first"})
    assert refused() == before + 2
    assert "what has changed is refused: " in caplog.text
    assert server.agreement.current() == current


def test_a_worker_that_starts_after_the_model_was_damaged_has_the_last_good_one(
    server: Server, other: Artifact
) -> None:
    write_folder(other.files, server.model)
    server.workers[0][0].ask()
    asyncio.run(server.look())
    shutil.rmtree(server.model)
    server.keys.unlink()
    server.workers.append(server.start())
    assert server.served() == {other.policy_version}
    assert held() == {"first"}


def test_who_asks_is_told_what_is_served_or_what_is_wrong(server: Server, other: Artifact) -> None:
    async def asked() -> str:
        answer = asyncio.create_task(server.workers[0][0].reload())
        await asyncio.sleep(0)
        await server.workers[1][0].look()
        return (await answer).policy_version

    write_folder(other.files, server.model)
    assert asyncio.run(asked()) == other.policy_version
    shutil.rmtree(server.model)
    with pytest.raises(ReloadRefused, match=r"there is no model at .*; the service goes on as before"):
        asyncio.run(asked())


def test_a_worker_that_does_not_answer_is_named_and_nobody_changes_over(
    server: Server, artifact: Artifact, other: Artifact
) -> None:
    server.workers.append(server.start(within_s=0))
    write_folder(other.files, server.model)
    reload = server.workers[2][0]
    with pytest.raises(ReloadRefused, match=r"these workers have not loaded it: [0-9]+, [0-9]+"):
        asyncio.run(reload.reload())
    asyncio.run(server.look())
    assert server.served() == {artifact.policy_version}


def test_a_change_during_a_change_is_taken_up_after_it(server: Server, other: Artifact) -> None:
    write_folder(other.files, server.model)

    async def changing() -> None:
        server.workers[0][0].ask()
        first = asyncio.create_task(server.workers[0][0].look())
        while not server.agreement.waiting_for(""):
            await asyncio.sleep(0.01)
        write_keys(server.keys, [new_key("second", ["score"])[1]])  # the other one sees only this state
        await asyncio.gather(first, server.workers[1][0].look())
        await server.look()

    asyncio.run(changing())
    assert (server.served(), held()) == ({other.policy_version}, {"second"})


def test_a_promotion_is_noted_with_its_stamp(tmp_path: Path, model_folder: Path, server: Server) -> None:  # noqa: ARG001
    stamp = server.sources.promotions.promote(["riskline:1"])
    asyncio.run(server.look())
    notes = server.sources.promotions.workers()
    assert {(note.fixed, note.refused, note.stamp) for note in notes} == {(str(server.model), "", stamp)}
    assert isinstance(notes[0], Note)


def test_the_model_before_is_let_go_once_its_requests_are_answered(
    artifact: Artifact, files: Mapping[str, bytes]
) -> None:
    first = verify(files, "the first")
    api = Api(first, Settings())
    assert policy_version(api) == first.policy_version
    gone = weakref.ref(first)
    api.serve(artifact)
    del first
    assert gone() is None, "no cycle keeps it, and nobody has to look for one"
    api.close()
