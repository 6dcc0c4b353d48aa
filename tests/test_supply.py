"""What is installed: its licences, its bill of materials, and what an audit may call clean."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from model.artifact import Artifact
from model.storage import sha256
from requirements.audit import ACCEPTED, NotAskedError, findings
from requirements.licences import READ, TABLE, LicenceError, licence, table
from requirements.locked import pins
from requirements.sbom import NotAsLockedError, bom

ROOT = Path(__file__).parent.parent
SERVING = ROOT / "requirements/serving.txt"


def metadata(**fields: str) -> Any:
    """As a distribution has it."""
    message = Message()
    for name, value in {"name": "Some.Thing", **fields}.items():
        message[name.replace("_", "-").title()] = value
    return message


def test_the_page_of_licences_is_what_is_locked() -> None:
    assert TABLE.read_text() == table(), "run `make sbom`"
    assert all(name in table() for name in READ)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"license_expression": "mit AND apache-2.0"}, "MIT AND Apache-2.0"),
        ({"license": "Apache 2.0", "classifier": "License :: OSI Approved :: BSD License"}, "Apache-2.0"),
        ({"license": "Copyright 2026 Me", "classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
    ],
)
def test_a_licence_is_read_from_what_says_it_most_exactly(fields: Mapping[str, str], expected: str) -> None:
    assert licence(metadata(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"license_expression": "AGPL-3.0-only"}, "some-thing is under AGPL-3.0-only, which"),
        ({"license_expression": "MIT AND (BUSL-1.1 OR GPL-2.0-or-later)"}, "does not allow"),
        ({"license": "LGPL-3.0-only"}, "does not allow"),
        ({"license": "Proprietary"}, "does not say its licence clearly"),
        ({"classifier": "License :: OSI Approved :: BSD License"}, "does not say its licence clearly"),
        ({}, "some-thing does not say its licence clearly"),
    ],
)
def test_a_licence_that_is_not_allowed_or_not_clear_is_an_error(fields: Mapping[str, str], why: str) -> None:
    with pytest.raises(LicenceError, match=re.escape(why)):
        licence(metadata(**fields))


def test_the_bill_of_materials_is_valid_and_names_exactly_what_is_locked(artifact: Artifact) -> None:
    document = bom(pins(SERVING), artifact, {})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    *libraries, model = document["components"]
    named = {f"{library['name']}=={library['version']}" for library in libraries}
    lines = [line for line in SERVING.read_text().splitlines() if not line.startswith(" ")]
    here = {line.split()[0] for line in lines if ";" not in line}
    elsewhere = {line.split()[0] for line in lines if ";" in line}
    assert here < named <= here | elsewhere
    assert "numpy" in {library["name"] for library in libraries}  # another one for each Python
    hashes = {found["content"] for library in libraries for found in library["hashes"]}
    assert hashes <= set(re.findall(r"sha256:(\w+)", SERVING.read_text()))
    assert {file["name"]: file["hashes"][0]["content"] for file in model["components"]} == {
        name: sha256(content) for name, content in artifact.files.items() if name != "manifest.json"
    }


def test_security_md_counts_what_is_locked() -> None:
    assert f" {len(pins(SERVING))} distributions" in (ROOT / "SECURITY.md").read_text()


def test_the_validator_would_refuse_what_is_none(artifact: Artifact) -> None:
    document = bom(pins(SERVING), artifact, {})
    document["components"][0]["licenses"] = "MIT"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is not None


def test_the_bill_has_a_time_only_where_one_is_given(artifact: Artifact) -> None:
    assert "timestamp" not in bom([], artifact, {})["metadata"]
    timed = bom([], artifact, {"SOURCE_DATE_EPOCH": "1700000000"})
    assert timed["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(timed)) is None


def test_the_same_inputs_give_the_same_bill(model_folder: Path, tmp_path: Path) -> None:
    written = []
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.json"
        command = ["-m", "requirements.sbom", "--lock", str(SERVING), "--model", str(model_folder), "--out", str(out)]
        subprocess.run([sys.executable, *command], cwd=ROOT, env={"PYTHONHASHSEED": seed}, check=True)
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_an_environment_that_is_not_what_is_locked_gets_no_bill() -> None:
    first = pins(SERVING)[0]
    with pytest.raises(NotAsLockedError, match=f"locked as 0.0 and installed as {first.version}"):
        bom([replace(first, version="0.0")], None, {})
    with pytest.raises(NotAsLockedError, match="no-such-thing is locked and not installed"):
        bom([replace(first, name="no-such-thing")], None, {})


@pytest.mark.parametrize("line", ["aiohttp>=3", "aiohttp==3.1", "aiohttp==3.* \\\n    --hash=sha256:" + "0" * 64])
def test_a_line_without_version_or_hash_is_no_pin(line: str, tmp_path: Path) -> None:
    (tmp_path / "locked.txt").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"locked\.txt: aiohttp is not pinned"):
        pins(tmp_path / "locked.txt")


def test_an_audit_names_what_it_found_and_leaves_out_what_is_accepted() -> None:
    advisory = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.1"]}
    told: list[dict[str, Any]] = [
        {"name": "clean", "version": "1", "vulns": []},
        {"name": "holed", "version": "2.0", "vulns": [advisory]},
    ]
    assert findings(told) == ["holed 2.0: PYSEC-1, mended in 2.1"]
    assert findings(told, {"CVE-1": "never called"}) == []


def test_an_audit_that_was_told_nothing_is_not_clean() -> None:
    told: list[dict[str, Any]] = [
        {"name": "clean", "version": "1", "vulns": []},
        {"name": "unknown", "skip_reason": "not found"},
    ]
    with pytest.raises(NotAskedError, match="1 of 2, such as unknown"):
        findings(told)


def test_each_accepted_advisory_has_a_reason() -> None:
    assert all(len(reason.split()) > 3 for reason in ACCEPTED.values())
