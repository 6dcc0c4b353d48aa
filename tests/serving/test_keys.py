import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving import keys
from serving.keys import Keys, KeysError, held, new_key, prove, read_keys, write_keys


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "serving.keys", *arguments], capture_output=True, text=True)


def test_a_key_is_found_by_its_text_and_by_no_other() -> None:
    text, kept = new_key("web-shop", ["score"])
    other, _ = new_key("web-shop", ["score"])
    known = Keys([kept])
    assert known.find(text.encode()) is kept
    for wrong in (other, text[:-1], text + "x", text.upper(), text.replace("web-shop", "shop"), "", "riskline__"):
        assert known.find(wrong.encode()) is None


def test_a_key_whose_time_is_over_opens_nothing() -> None:
    now = datetime.now(UTC)
    for seconds, opens in ((60, True), (-60, False)):
        text, kept = new_key("shop", ["score"], until=now + timedelta(seconds=seconds))
        assert (Keys([kept]).find(text.encode()) is kept) is opens


def test_the_file_holds_no_secret_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    text, kept = new_key(
        "shop", ["score", "read"], per_second=2.5, per_day=1000, until=datetime(2030, 1, 1, tzinfo=UTC)
    )
    write_keys(file, [kept])
    assert text.rpartition("_")[2] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(read_keys(file)) == [kept]


def test_a_rewritten_file_keeps_who_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write_keys(file, [])
    file.chmod(0o640)
    write_keys(file, [])
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file: Invalid JSON"),
        ("[]", "the file: "),
        ('{"keys": 5}', "keys: "),
        ('{"keys": [], "kes": []}', "kes: "),
        ('{"keys": [{"id": "A", "sha256": "0", "scopes": ["all"]}]}', "keys.0.id: "),
        ('{"keys": [{"id": "a", "sha256": "' + "0" * 64 + '", "scopes": []}]}', "keys.0.scopes: "),
        ("[" * 1000, "the file: Invalid JSON"),
        (" " * (2**20 + 1), "larger than a file of keys can be"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_without_its_content(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(KeysError) as refused:
        read_keys(file)
    assert why in refused.value.message
    assert "0" * 64 not in refused.value.message


def test_two_keys_of_one_id_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write_keys(file, [new_key("shop", ["score"])[1], new_key("shop", ["read"])[1]])
    with pytest.raises(KeysError, match="two keys with the id shop"):
        read_keys(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="cannot be read"):
        held(str(tmp_path / "none"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3"])
def test_without_keys_the_service_is_not_shown_to_a_network(host: str) -> None:
    with pytest.raises(KeysError, match="RISKLINE_KEYS=none"):
        prove("", host)
    assert f"whoever reaches {host} may" in prove("none", host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_on_loopback_the_service_is_open_and_says_so(host: str) -> None:
    assert prove("", host).startswith("NO KEYS: every program of this machine may")


def test_with_keys_any_interface_will_do(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write_keys(file, [new_key("shop", ["score"])[1]])
    assert "one of 1 keys" in prove(str(file), "0.0.0.0")


def test_nobody_may_call_before_the_keys_are_read() -> None:
    ring = keys.KeyRing()
    assert ring.keys is not None
    assert len(ring.keys) == 0


def test_a_disk_that_is_full_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    write_keys(file, [new_key("shop", ["score"])[1]])
    before = file.read_text()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(KeysError, match=f"{file} cannot be written \\(No space left on device\\)"):
        write_keys(file, [])
    assert file.read_text() == before
    assert list(tmp_path.iterdir()) == [file]


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_command_adds_lists_and_removes(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")
    limits = ["--per-second", "0.5", "--per-day", "90", "--days", "400"]
    added = run("add", file, "shop", "--scope", "score", "--scope", "read", *limits)
    assert added.returncode == 0, added.stderr
    found = read_keys(Path(file)).find(added.stdout.strip().encode())
    assert found is not None
    assert (found.scopes, found.per_second, found.per_day) == (("score", "read"), 0.5, 90)
    assert run("list", file).stdout.startswith("shop: score read, 0.5 a second, 90 a day, until 20")
    assert run("remove", file, "shop").stdout == "shop is removed; 0 left\n"
    assert run("list", file).stdout == "no keys\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["add", "FILE", "shop", "--scope", "read"], "there is a key shop already"),
        (["add", "FILE", "Shop", "--scope", "read"], "id: String should match"),
        (["add", "FILE", "other", "--scope", "read", "--per-day", "0"], "per_day: "),
        (["add", "FILE", "other", "--scope", "read", "--per-second", "inf"], "per_second: "),
        (["add", "FILE", "other", "--scope", "read", "--days", "0"], "--days must be above 0"),
        (["add", "FILE", "other", "--scope", "read", "--days", "nan"], "--days must be above 0"),
        (["add", "FILE", "other", "--scope", "read", "--days", "1e9"], "at most 36500"),
        (["add", "FILE/none/keys.json", "other", "--scope", "read"], "FILE/none/keys.json cannot be written"),
        (["remove", "FILE", "other"], "has no key other"),
        (["list", "FILE.none"], "cannot be read"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path, arguments: list[str], why: str) -> None:
    file = tmp_path / "keys.json"
    write_keys(file, [new_key("shop", ["score"])[1]])
    before = file.read_text()
    refused = run(*(argument.replace("FILE", str(file)) for argument in arguments))
    assert refused.returncode == 1
    assert why.replace("FILE", str(file)) in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert file.read_text() == before
    assert list(tmp_path.iterdir()) == [file]
    assert json.loads(before)["keys"]
