"""Bodies of many applications whose callers have been told that it took too long."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest

from decisions.record import Origin
from model.artifact import Artifact
from preprocessing.encode import Batch, encode
from preprocessing.schema import Application
from serving.api import Api
from serving.bulk import Asked, Bulk
from serving.formats import CSV, FORMATS
from serving.settings import Settings
from tests.generated import EXAMPLE
from tests.lab.waiting import until


def test_no_further_block_is_read_once_nobody_waits(artifact: Artifact) -> None:
    ended = []

    def endless(source: BinaryIO, most_rows: int) -> Iterator[Batch]:  # noqa: ARG001
        try:
            while True:
                yield encode([Application.model_validate(EXAMPLE)])
        finally:
            ended.append(True)

    api, settings, threads = Api(artifact, Settings()), Settings(max_bulk_rows=10**9), ThreadPoolExecutor(1)
    asked = Asked(b"", FORMATS[CSV]._replace(read=endless), FORMATS[CSV], False, Origin("api", "1", 0.0, ""), None)

    async def ask() -> None:
        async with asyncio.timeout(0.2):
            await Bulk(settings, threads).answer(api._served, asked)

    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    until(lambda: ended == [True], within_s=30)
    threads.shutdown()
    api.close()
