import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from model.artifact import (
    BULK,
    CONTRIBUTIONS_GRAPH,
    FEATURES_GRAPH,
    GOLDEN,
    GRAPH,
    POLICY,
    REFERENCE,
    REPORT,
    Artifact,
    open_artifact,
    verify,
)  # fmt: skip
from model.data import Labelled
from model.errors import ArtifactError
from model.storage import MANIFEST, saved, sha256, write_archive, write_folder

Files = Mapping[str, bytes]


def refusal(files: Files) -> str:
    with pytest.raises(ArtifactError) as caught:
        verify(files, "the model")
    assert "\n" not in caught.value.message
    return caught.value.message


def with_manifest(original: Files, **changes: Any) -> Files:
    return {**original, MANIFEST: json.dumps({**json.loads(original[MANIFEST]), **changes}).encode()}


def rehashed(files: Files, name: str, content: bytes) -> Files:
    """A file replaced by somebody who also knows how to mend the manifest."""
    hashes = {**json.loads(files[MANIFEST])["files"], name: sha256(content)}
    return with_manifest({**files, name: content}, files=hashes)


def test_folder_and_archive_give_the_same_artefact(files: Files, tmp_path: Path) -> None:
    write_folder(files, tmp_path / "folder")
    write_archive(files, tmp_path / "model.tar.gz")
    versions = {open_artifact(str(tmp_path / name)).version for name in ("folder", "model.tar.gz")}
    assert versions == {verify(files, "memory").version}


@pytest.mark.slow
def test_a_folder_and_an_archive_know_since_when_they_are_there(files: Files, tmp_path: Path) -> None:
    write_folder(files, tmp_path / "model")
    write_archive(files, tmp_path / "model.tar.gz")
    for path, written in ((tmp_path / "model", tmp_path / "model" / MANIFEST), (tmp_path / "model.tar.gz",) * 2):
        os.utime(written, (1.5e9, 1.5e9))
        assert saved(str(path)) == 1.5e9


def test_the_store_keeps_it_under_its_version_and_the_last_saved_is_the_latest(
    files: Files, model_folder: Path, tmp_path: Path
) -> None:
    # the store's place is read when bentoml is imported, so each step is a process of its own
    script = (
        "from pathlib import Path; from model.artifact import open_artifact; from model.storage import *\n"
        f"tag = save_to_store(read_folder(Path({str(model_folder)!r})))\n"
        f"again = save_to_store(read_folder(Path({str(model_folder)!r})))\n"
        "print(tag, again, open_artifact(tag).version, open_artifact('riskline:latest').version)"
    )
    environment = {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "true", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    version = verify(files, "memory").version
    assert done.stdout.split() == [f"riskline:{version}", f"riskline:{version}", version, version], done.stderr


def test_the_same_files_make_the_same_archive(files: Files, tmp_path: Path) -> None:
    write_archive(files, tmp_path / "one.tar.gz")
    write_archive(dict(reversed(list(files.items()))), tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_a_folder_is_replaced_whole_and_nothing_is_left_beside_it(files: Files, tmp_path: Path) -> None:
    write_folder({"old": b"", **files}, tmp_path / "model")
    write_folder(files, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == sorted(files)


@pytest.mark.parametrize("name", [GRAPH, POLICY, GOLDEN, REPORT])
@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda _: b"", lambda b: b + b" ", lambda b: bytes(len(b))])
def test_a_file_that_differs_from_its_hash_is_refused(files: Files, name: str, damage: Any) -> None:
    assert f"{name} is not what the manifest says" in refusal({**files, name: damage(files[name])})


@pytest.mark.parametrize("name", [GRAPH, POLICY, GOLDEN, REPORT])
def test_a_file_that_is_missing_is_named(files: Files, name: str) -> None:
    assert f"{name} is missing" in refusal({key: value for key, value in files.items() if key != name})


def test_a_folder_of_something_else_is_refused() -> None:
    assert "is not a Riskline model" in refusal({"README.md": b"hello"})


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"{}", b"\xff", b'{"format": 1}'])
def test_a_damaged_manifest_is_refused_with_what_to_do(files: Files, manifest: bytes) -> None:
    assert "train again with `make train`" in refusal({**files, MANIFEST: manifest})


def test_a_manifest_of_another_format_is_refused(files: Files) -> None:
    assert "of another format (format)" in refusal(with_manifest(files, format=1))


def test_a_model_of_an_older_schema_is_refused_with_the_field_that_differs(files: Files) -> None:
    fields = json.loads(files[MANIFEST])["fields"]
    assert f"field {fields[-1]['name']!r} differs" in refusal(with_manifest(files, fields=fields[:-1]))
    assert "the order of the fields differs" in refusal(with_manifest(files, fields=fields[::-1]))
    renamed = [{**fields[0], "name": "older_name"}, *fields[1:]]
    assert "was trained for another schema" in refusal(with_manifest(files, fields=renamed))


@pytest.mark.parametrize("content", [b"", b"not onnx", bytes(1000)])
def test_a_graph_that_does_not_load_is_refused_even_with_a_right_hash(files: Files, content: bytes) -> None:
    assert "does not load" in refusal(rehashed(files, GRAPH, content))


def test_crossing_thresholds_are_refused_even_with_a_right_hash(files: Files) -> None:
    policy = {**json.loads(files[POLICY]), "low_below": 0.9, "high_from": 0.1}
    assert "thresholds must satisfy" in refusal(rehashed(files, POLICY, json.dumps(policy).encode()))


def test_a_policy_without_words_for_a_field_is_refused_by_name(files: Files) -> None:
    policy = json.loads(files[POLICY])
    name = list(policy["reasons"])[-1]
    del policy["reasons"][name]
    assert f"no text for the field {name!r}" in refusal(rehashed(files, POLICY, json.dumps(policy).encode()))


@pytest.mark.parametrize("name", [CONTRIBUTIONS_GRAPH, FEATURES_GRAPH, GRAPH])
def test_another_graph_under_the_right_name_is_refused(files: Files, name: str) -> None:
    other = files[GRAPH if name != GRAPH else FEATURES_GRAPH]
    assert "the model does" in refusal(rehashed(files, name, other))


def test_a_reference_of_another_width_is_refused(files: Files) -> None:
    reference = json.loads(files[REFERENCE])
    reference["groups"][0]["contributions"].pop()
    assert "does not load" in refusal(rehashed(files, REFERENCE, json.dumps(reference).encode()))


def test_contributions_that_differ_from_the_golden_ones_are_refused(files: Files) -> None:
    golden = json.loads(files[GOLDEN])
    golden[3]["contributions"][0] += 0.00001
    assert "does not score its golden rows" in refusal(rehashed(files, GOLDEN, json.dumps(golden).encode()))


def test_a_graph_for_large_batches_that_differs_is_not_used(
    files: Files, artifact: Artifact, labelled: Labelled, caplog: pytest.LogCaptureFixture
) -> None:
    assert artifact.bulk is not None
    tables = onnx.load_from_string(files[BULK])
    [base] = [item for item in tables.graph.initializer if item.name == "by_column_1"]
    base.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(base) + np.float32(1e-3), base.name))
    other = verify(rehashed(files, BULK, tables.SerializeToString()), "the model")
    assert other.bulk is None
    assert "bulk.onnx" in caplog.text
    assert other.score(labelled.matrix) == artifact.score(labelled.matrix)


def test_a_graph_that_scores_its_golden_rows_otherwise_is_refused(files: Files) -> None:
    golden = json.loads(files[GOLDEN])
    golden[3]["probability"] += 0.00001
    assert "does not score its golden rows" in refusal(rehashed(files, GOLDEN, json.dumps(golden).encode()))
    assert "no golden rows" in refusal(rehashed(files, GOLDEN, b"[]"))


def test_a_policy_that_gives_golden_rows_another_tier_is_refused(files: Files) -> None:
    golden = json.loads(files[GOLDEN])
    golden[0]["tier"] = "high" if golden[0]["tier"] == "low" else "low"
    assert "does not score its golden rows" in refusal(rehashed(files, GOLDEN, json.dumps(golden).encode()))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda _: b"", lambda _: bytes(100), gzip.decompress])
def test_a_damaged_archive_is_refused(files: Files, tmp_path: Path, damage: Any) -> None:
    archive = tmp_path / "model.tar.gz"
    write_archive(files, archive)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(ArtifactError, match=r"is damaged|is not a Riskline model"):
        open_artifact(str(archive))


def test_an_archive_as_tar_itself_makes_it_is_read(files: Files, tmp_path: Path, model_folder: Path) -> None:
    subprocess.run(["tar", "czf", str(tmp_path / "model.tar.gz"), "-C", str(model_folder), "."], check=True)
    assert open_artifact(str(tmp_path / "model.tar.gz")).version == verify(files, "memory").version


def test_an_archive_that_unpacks_to_more_than_a_model_can_be_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("model.onnx")
        member.size = 257 * 2**20
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(ArtifactError, match="larger than a model can be"):
        open_artifact(str(archive))


@pytest.mark.parametrize("reference", ["/no/such/folder", "no/such.tar.gz", "gone.tar.gz"])
def test_a_path_where_nothing_is_says_how_to_name_one(reference: str) -> None:
    with pytest.raises(ArtifactError, match="set RISKLINE_MODEL"):
        open_artifact(reference)


def test_a_folder_of_something_else_is_never_replaced(files: Files, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.doc").write_text("three years of work")
    with pytest.raises(ArtifactError, match="is no model; name another place"):
        write_folder(files, tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.doc"]
