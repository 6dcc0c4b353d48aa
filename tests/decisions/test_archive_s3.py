"""The archive in an object store: a stand-in for S3 over a real socket."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow.fs import S3FileSystem

from decisions.archive import archive, files, forget_in_archive, read
from decisions.places import STORE
from decisions.sqlite_archive import ArchiveStore
from loadtest.bench_environments import python_of
from loadtest.server import HOST, free_port, running_server
from model.artifact import Artifact
from model.errors import ScoringError
from tests.decisions.decided import stored

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
BEFORE_MIDNIGHT = datetime(2026, 11, 24, 23, 59, 58, tzinfo=UTC)
TIMES = [BEFORE_MIDNIGHT + timedelta(seconds=number) for number in range(5)]
SECRET = "never-to-be-said"


def url_of(bucket: str, address: str) -> str:
    return f"s3://somebody:{SECRET}@{bucket}/archive?endpoint_override={address}&scheme=http&region=eu-central-1"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of the stand-in, which has a bucket `lender`."""
    python = python_of(ROOT / "tests" / "deploy" / "stand_in")
    with running_server(
        {}, command=[str(python), "-m", "moto.server", "-H", HOST, "-p"], ready_path="/moto-api/"
    ) as server:
        there = server.url.removeprefix("http://")
        s3 = S3FileSystem(
            access_key="somebody", secret_key=SECRET, endpoint_override=there, scheme="http", region="eu-central-1",
            allow_bucket_creation=True,
        )  # fmt: skip
        s3.create_dir("lender")
        yield there


@pytest.fixture
def to(address: str, request: pytest.FixtureRequest) -> str:
    """A place of the test's own in the bucket."""
    return url_of(f"lender/{request.node.name}", address)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArchiveStore]:
    opened = ArchiveStore(tmp_path / STORE)
    yield opened
    opened.close()


def test_a_bucket_holds_what_a_folder_would(store: ArchiveStore, artifact: Artifact, tmp_path: Path, to: str) -> None:
    ids = stored(store, "a", artifact, TIMES)
    assert archive(store, to).records == 5
    assert archive(store, str(tmp_path / "archive")).records == 5
    assert [read(place) for place in files(to)] == [read(place) for place in files(str(tmp_path / "archive"))]
    assert archive(store, to).records == 0
    assert forget_in_archive(to, ids[:2]) == 2
    assert [record.personal is None for place in files(to) for record in read(place)] == [True] * 2 + [False] * 3


def test_a_kill_during_an_upload_leaves_nothing_out_and_nothing_twice(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path, to: str
) -> None:
    ids = stored(store, "a", artifact, TIMES)
    killing = (
        "import os, signal, pyarrow.parquet\n"
        "from decisions import archive\n"
        "write = pyarrow.parquet.write_table\n"
        "def half(table, stream, **options):\n"
        "    stream.write(bytes(6 * 2**20))\n"  # above 5 MiB, so that a part of the upload is sent
        "    stream.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "pyarrow.parquet.write_table = half\n"
        "archive.main()"
    )
    command = [sys.executable, "-c", killing, "--decisions", str(tmp_path)]
    killed = subprocess.run(command, cwd=ROOT, env={**os.environ, "RISKLINE_ARCHIVE": to}, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert files(to) == []
    archive(store, to)
    assert [record.id for place in files(to) for record in read(place)] == ids


def test_a_bucket_that_is_not_there_is_named(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path, address: str
) -> None:
    stored(store, "a", artifact, TIMES)
    command = [sys.executable, "-m", "decisions.archive", "--to", url_of("nobody", address)]
    command += ["--decisions", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("riskline: s3://nobody/archive/decisions/day=2026-11-24 cannot be written to: Bucket")
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr


def test_what_an_object_store_that_is_away_misses_comes_later(
    store: ArchiveStore, artifact: Artifact, address: str, to: str
) -> None:
    ids = stored(store, "a", artifact, TIMES)
    away = to.replace(address, f"{HOST}:{free_port()}")
    with pytest.raises(ScoringError, match="cannot be written to"):
        archive(store, away)
    assert archive(store, to).records == 5
    assert [record.id for place in files(to) for record in read(place)] == ids


def test_no_key_stays_behind_in_the_store(store: ArchiveStore, artifact: Artifact, tmp_path: Path, to: str) -> None:
    stored(store, "a", artifact, TIMES)
    archive(store, to)
    with sqlite3.connect(tmp_path / STORE) as opened:
        dump = "\n".join(opened.iterdump())
    opened.close()
    assert "s3://lender" in dump
    assert SECRET not in dump
