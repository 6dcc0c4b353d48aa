"""The archive beside a running service: decisions get there by themselves, and a place that is away is said."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from decisions.archive import files, read
from decisions.places import archive_of
from loadtest.server import running_server
from serving.archiver import keep_archived
from serving.settings import Settings
from tests.decisions.decided import EXAMPLE

ARCHIVED_WITHIN_S = 60.0
OFTEN_MIN = 0.01

pytestmark = pytest.mark.slow


def test_decisions_get_to_the_archive_once_while_two_workers_serve(model_folder: Path, tmp_path: Path) -> None:
    to = str(tmp_path / "archive")
    environment = {
        "RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2", "RISKLINE_DECISIONS": str(tmp_path / "decisions"),
        "RISKLINE_ARCHIVE": to, "RISKLINE_ARCHIVE_EVERY_MIN": str(OFTEN_MIN),
    }  # fmt: skip
    with running_server(environment) as server:
        ids = [httpx.post(f"{server.url}/predict", json=EXAMPLE).json()["decision_id"] for _ in range(20)]
        deadline = time.monotonic() + ARCHIVED_WITHIN_S
        while sorted(record.id for place in files(to) for record in read(place)) != sorted(ids):
            assert time.monotonic() < deadline, server.log_tail()


def test_an_archive_that_cannot_be_written_to_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKLINE_ARCHIVE", "ftp://lender")
    settings = Settings(archive="ftp://lender", archive_every_min=OFTEN_MIN, decisions=str(tmp_path))
    assert archive_of(tmp_path) == settings.archive, "the command finds it where the service does"

    async def run() -> None:
        task = asyncio.create_task(keep_archived(settings))
        deadline = time.monotonic() + ARCHIVED_WITHIN_S
        while not caplog.text:
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    assert "decisions were not archived: riskline: no file is named by this ftp:// address" in caplog.text


def test_an_archiver_that_cannot_be_started_is_started_the_next_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def no_process(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_process)

    async def run() -> None:
        settings = Settings(archive=str(tmp_path), archive_every_min=OFTEN_MIN, decisions=str(tmp_path))
        task = asyncio.create_task(keep_archived(settings))
        deadline = time.monotonic() + ARCHIVED_WITHIN_S
        while tries < 2:
            assert time.monotonic() < deadline
            assert not task.done()
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    assert "decisions were not archived: no more processes" in caplog.text
