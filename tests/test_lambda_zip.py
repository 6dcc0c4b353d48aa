"""What `make lambda` packs answers events wherever it is unpacked, and is what is locked."""

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from requirements.lambda_zip import MACHINES, PYTHONS, ROOT, SERVING, install, loaded, main, pack
from requirements.locked import entries, pins
from serving.remote import JSON
from tests.deploy.templates import read
from tests.preprocessing.channels.events import http_event

WITHIN_S = 60
ANSWER = """
import json, os, sys
os.environ |= {"RISKLINE_ENDPOINT": "risk"}
sys.path.insert(0, sys.argv[1])
import serving.aws_lambda
json.dump([serving.aws_lambda.__file__, serving.aws_lambda.handler(json.load(sys.stdin), None)], sys.stdout)
"""


def answered(place: Path, *options: str) -> dict[str, Any]:
    """What the handler in that archive or folder says of an empty application, in an interpreter that is elsewhere."""
    event = json.dumps(http_event("/channels/mobile", b"{}", {"Content-Type": JSON}))
    command = [sys.executable, "-I", *options, "-c", ANSWER, str(place)]
    done = subprocess.run(command, input=event, cwd=place.parent, capture_output=True, text=True, timeout=WITHIN_S)
    assert done.returncode == 0, done.stderr
    file, answer = json.loads(done.stdout)
    assert file.startswith(str(place))
    return {"status": answer["statusCode"], **json.loads(answer["body"])}


def test_the_projects_part_is_whole_and_always_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "folder" / "second.zip"
    for archive in (first, second):
        main(["--out", str(archive), "--without-libraries"])
    assert first.read_bytes() == second.read_bytes()
    assert (answered(first)["status"], answered(first)["error"]) == (422, "invalid_application")


def test_nothing_is_packed_that_nobody_loads() -> None:
    needed = loaded()
    assert {"numpy", "pydantic", "text2num"} <= set(needed.distributions)
    assert {Path("serving/aws_lambda.py"), Path("preprocessing/schema.py")} <= set(needed.files)
    assert {Path("preprocessing/features.py"), Path("serving/api.py")}.isdisjoint(needed.files)
    assert all((ROOT / file).is_file() for file in needed.files)


def test_the_template_has_the_runtimes_for_which_it_can_be_packed() -> None:
    parameters = read("channels")["Parameters"]
    assert parameters["Python"]["AllowedValues"] == [f"python{version}" for version in PYTHONS]
    assert parameters["Architecture"]["AllowedValues"] == [each.replace("aarch64", "arm64") for each in MACHINES]


def test_libraries_are_taken_with_every_hash_that_is_locked(tmp_path: Path) -> None:
    lock = tmp_path / "some.txt"
    lock.write_text(entries(SERVING, ["typing_extensions", "Text2Num"]))
    assert pins(lock) == [pin for pin in pins(SERVING) if pin.name in ("text2num", "typing-extensions")]
    with pytest.raises(ValueError, match="xgboost is not locked"):
        entries(SERVING, ["numpy", "xgboost"])


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in MACHINES, reason="Lambda has no such processor")
def test_with_its_libraries_it_needs_nothing_else(tmp_path: Path) -> None:
    needed, archive, unpacked = loaded(), tmp_path / "all.zip", tmp_path / "unpacked"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    install(needed.distributions, version, platform.machine(), tmp_path / "libraries")
    pack(archive, needed.files, tmp_path / "libraries")
    with ZipFile(archive) as packed:
        assert sum(entry.file_size for entry in packed.infolist()) < 250 * 2**20  # Lambda's limit
        packed.extractall(unpacked)
    assert answered(unpacked, "-S")["error"] == "invalid_application"
