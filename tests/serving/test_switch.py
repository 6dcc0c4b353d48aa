import asyncio
import json
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from model.artifact import Artifact, verify, with_policy
from model.promotion import Promotions
from serving import switch
from serving.api import Api
from serving.messages import Request
from serving.settings import Settings
from serving.switch import Switch
from tests.generated import EXAMPLE


@pytest.fixture
def promotions(tmp_path: Path) -> Promotions:
    return Promotions(tmp_path / "riskline")


@pytest.fixture
def api(artifact: Artifact) -> Iterator[Api]:
    made = Api(artifact, Settings())
    yield made
    made.close()


@pytest.fixture
def other(artifact: Artifact) -> Artifact:
    """The same model under another policy."""
    policy = artifact.policy.model_copy(update={"high_from": artifact.policy.low_below})
    return verify(with_policy(artifact, policy), "the other")


def policy_version(api: Api) -> str:
    request = Request({b"content-type": b"application/json"}, b"", json.dumps(EXAMPLE).encode())
    answer = asyncio.run(api.answer("/predict", request))
    assert isinstance(answer.body, bytes)
    return str(json.loads(answer.body)["policy_version"])


def test_a_promoted_model_is_taken_up_at_the_next_look_and_noted(
    api: Api, other: Artifact, promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(tag: str) -> Artifact:
        return {f"riskline:{other.version}": other}[tag]

    monkeypatch.setattr(switch, "open_artifact", opened)
    monkeypatch.setattr(switch, "saved", {f"riskline:{other.version}": 1.75e9}.get)
    before = api.artifact
    watching = Switch(api, promotions, promotions.worker(), promotions.stamp(), "")
    asyncio.run(watching.look())
    assert policy_version(api) == before.policy_version
    stamp = promotions.promote([f"riskline:{before.version}", f"riskline:{other.version}"])
    asyncio.run(watching.look())
    assert policy_version(api) == other.policy_version
    [note] = promotions.workers()
    assert (note.tag, note.stamp, note.refused) == (f"riskline:{other.version}", stamp, "")
    assert REGISTRY.get_sample_value("riskline_model_trained_timestamp_seconds") == 1.75e9
    watching.close()


def test_a_model_that_cannot_be_opened_is_refused_and_the_way_back_is_free(api: Api, promotions: Promotions) -> None:
    before = api.artifact
    watching = Switch(api, promotions, promotions.worker(), promotions.stamp(), "")
    stamp = promotions.promote(["riskline:000000000000"])
    asyncio.run(watching.look())
    [note] = promotions.workers()
    assert (note.tag, note.stamp) == (f"riskline:{before.version}", stamp)
    assert "has no riskline:000000000000" in note.refused
    assert policy_version(api) == before.policy_version
    promotions.promote([f"riskline:{before.version}"])
    asyncio.run(watching.look())
    assert promotions.workers()[0].refused == ""
    watching.close()


def test_a_worker_with_a_fixed_model_does_not_look(api: Api, promotions: Promotions) -> None:
    watching = Switch(api, promotions, promotions.worker(), promotions.stamp(), "/opt/ml/model")
    promotions.promote(["riskline:000000000000"])
    asyncio.run(watching.watch())
    assert promotions.workers()[0].fixed == "/opt/ml/model"
    watching.close()


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
