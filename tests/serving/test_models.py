"""The models of a multi-model endpoint, seen by two workers that have nothing but a folder in common."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.artifact import GRAPH, Artifact
from model.errors import ArtifactError
from model.storage import write_folder
from serving import models
from serving.api import Api
from serving.errors import AlreadyLoaded, NoRoom, NotFound
from serving.models import Models
from serving.settings import Settings


@pytest.fixture
def workers(artifact: Artifact, tmp_path: Path) -> Iterator[tuple[Models, Models]]:
    api = Api(artifact, Settings())
    pair = Models(tmp_path / "models", api), Models(tmp_path / "models", api)
    yield pair
    for worker in pair:
        worker.close()
    api.close()


def order(name: str, url: Path) -> bytes:
    return json.dumps({"model_name": name, "url": str(url)}).encode()


def test_what_one_worker_loads_the_other_has(workers: tuple[Models, Models], model_folder: Path) -> None:
    one, other = workers
    one.load(order("a", model_folder))
    assert one.ready("a") is not None
    assert other.ready("a") is None
    assert other.api("a") is other.ready("a") is not one.ready("a")
    assert one.listed() == other.listed() == {"models": [{"modelName": "a", "modelUrl": str(model_folder)}]}
    with pytest.raises(AlreadyLoaded):
        other.load(order("a", model_folder))


def test_what_one_worker_unloads_the_other_has_no_longer(workers: tuple[Models, Models], model_folder: Path) -> None:
    one, other = workers
    one.load(order("a", model_folder))
    other.api("a")
    one.unload("a")
    for worker in workers:
        assert worker.ready("a") is None
        for use in (worker.api, worker.shown, worker.unload):
            with pytest.raises(NotFound):
                use("a")
    one.load(order("a", model_folder))
    assert other.ready("a") is None, "another model under the same name is another model"


def test_a_model_that_does_not_verify_is_not_loaded(
    workers: tuple[Models, Models], artifact: Artifact, tmp_path: Path
) -> None:
    write_folder({**artifact.files, GRAPH: artifact.files[GRAPH] + b" "}, tmp_path / "damaged")
    for url in (tmp_path / "damaged", tmp_path / "missing", tmp_path):
        with pytest.raises(ArtifactError):
            workers[0].load(order("a", url))
    assert workers[1].listed() == {"models": []}


def test_models_are_listed_page_by_page_and_bounded(
    workers: tuple[Models, Models], model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MOST_MODELS", 3)
    monkeypatch.setattr(models, "MOST_AT_ONCE", 2)
    one, _ = workers
    for name in ("c", "a", "../b"):
        one.load(order(name, model_folder))
    with pytest.raises(NoRoom):
        one.load(order("d", model_folder))
    first = one.listed()
    assert first["nextPageToken"] == "c"
    rest = one.listed("c")
    assert "nextPageToken" not in rest
    shown = [entry for page in (first, rest) for entry in page["models"]]  # type: ignore[attr-defined]
    assert [entry["modelName"] for entry in shown] == ["../b", "a", "c"]
