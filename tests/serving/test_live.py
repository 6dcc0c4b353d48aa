import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from model.artifact import GOLDEN, Artifact
from model.errors import ArtifactError
from model.promotion import Promotions
from model.storage import saved
from preprocessing.errors import RisklineError
from serving.keys import KeysError, new_key, write_keys
from serving.live import Overrides, Sources, load, read_overrides
from serving.settings import Settings, SettingsError


def sources(tmp_path: Path, **settings: object) -> Sources:
    return Sources(Settings.model_validate(settings), str(settings.get("model", "")), Promotions(tmp_path / "riskline"))


def test_a_snapshot_holds_all_that_a_worker_starts_with(tmp_path: Path, model_folder: Path, artifact: Artifact) -> None:
    text, key = new_key("shop", ["score"])
    write_keys(tmp_path / "keys.json", [key])
    (tmp_path / "live.json").write_text('{"log_level": "debug"}')
    places = {"model": str(model_folder), "keys": str(tmp_path / "keys.json"), "live": str(tmp_path / "live.json")}
    sources(tmp_path, **places).snapshot(tmp_path / "snapshot")
    (tmp_path / "keys.json").unlink()
    found = load(tmp_path / "snapshot")
    assert (found.artifact.version, found.fixed, found.log_level) == (artifact.version, str(model_folder), "debug")
    assert found.since == saved(str(model_folder))
    assert found.keys is not None
    assert found.keys.find(text.encode()) == key


def test_without_keys_and_overrides_the_settings_hold(tmp_path: Path, model_folder: Path) -> None:
    sources(tmp_path, model=str(model_folder), log_level="error", keys="none").snapshot(tmp_path / "snapshot")
    found = load(tmp_path / "snapshot")
    assert (found.keys, found.log_level) == (None, "error")


def test_the_file_goes_before_the_settings(tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / "live.json").write_text(json.dumps({"model": str(model_folder)}))
    sources(tmp_path, model="/no/such/model", live=str(tmp_path / "live.json")).snapshot(tmp_path / "snapshot")
    assert load(tmp_path / "snapshot").fixed == str(model_folder)


def test_a_snapshot_that_is_there_stays(tmp_path: Path, model_folder: Path) -> None:
    sources(tmp_path, model=str(model_folder)).snapshot(tmp_path / "snapshot")
    sources(tmp_path, model=str(model_folder), log_level="error").snapshot(tmp_path / "snapshot")
    assert load(tmp_path / "snapshot").log_level == "info"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("what", ["model", "keys", "live"])
def test_what_does_not_verify_leaves_nothing(
    tmp_path: Path, model_folder: Path, files: Mapping[str, bytes], what: str
) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for name, content in files.items():
        (wrong / name).write_bytes(content if name != GOLDEN else content[:-1])
    (tmp_path / "bad.json").write_text("{")
    settings = {"model": str(model_folder)} | {what: str(wrong if what == "model" else tmp_path / "bad.json")}
    expected = {"model": ArtifactError, "keys": KeysError, "live": SettingsError}[what]
    with pytest.raises(expected):
        sources(tmp_path, **settings).snapshot(tmp_path / "snapshot")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.json", "wrong"]


def test_the_stamp_changes_with_keys_overrides_and_promotions(tmp_path: Path) -> None:
    keys, overrides = tmp_path / "keys.json", tmp_path / "live.json"
    watched = sources(tmp_path, keys=str(keys), live=str(overrides))
    stamps = [watched.stamp()]
    write_keys(keys, [])
    stamps.append(watched.stamp())
    overrides.write_text("{}")
    stamps.append(watched.stamp())
    (tmp_path / "riskline").mkdir()
    watched.promotions.promote(["riskline:1"])
    stamps.append(watched.stamp())
    assert len(set(stamps)) == 4
    assert watched.stamp() == stamps[-1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"max_rows": 5}', "has max_rows, but only model and log_level can change while the service runs"),
        ('{"log_level": "loud"}', "log_level: Input should be"),
        ("[]", "the file: "),
        ("{", "the file: Invalid JSON"),
        (" " * 70_000, "larger than"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "live.json"
    file.write_text(text)
    with pytest.raises(RisklineError) as refused:
        read_overrides(file)
    assert why in refused.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"live\.json cannot be read"):
        read_overrides(tmp_path / "live.json")


def test_an_empty_file_of_overrides_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "live.json").write_text("{}")
    assert read_overrides(tmp_path / "live.json") == Overrides()
