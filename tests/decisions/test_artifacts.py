"""The exact models beside the decisions."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from decisions.artifacts import keep, load
from decisions.errors import StoreError
from model.artifact import Artifact
from model.errors import ArtifactError
from model.storage import MANIFEST, sha256


def test_an_artefact_is_kept_whole_by_many_at_once(artifact: Artifact, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as workers:
        paths = set(workers.map(lambda _: keep(tmp_path, artifact), range(16)))
    assert list((tmp_path / "artifacts").iterdir()) == list(paths)
    assert load(tmp_path, sha256(artifact.files[MANIFEST])).files == artifact.files


def test_one_that_is_there_is_left_alone(artifact: Artifact, tmp_path: Path) -> None:
    before = keep(tmp_path, artifact).stat()
    assert keep(tmp_path, artifact).stat() == before


def test_one_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="the artefact 00ff is not in"):
        load(tmp_path, "00ff")


def test_one_under_anothers_name_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    keep(tmp_path, artifact).rename(tmp_path / "artifacts" / "00ff.tar.gz")
    with pytest.raises(ArtifactError, match="another artefact"):
        load(tmp_path, "00ff")


def test_a_folder_that_cannot_be_written_is_told(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be kept"):
        keep(tmp_path, artifact)
