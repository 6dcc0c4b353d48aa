import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from serving import garbage


class Node:
    """Refers to itself, so that only a look at all objects frees it once it is old."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture
def settled() -> Iterator[None]:
    thresholds = gc.get_threshold()
    garbage.settle()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def old_garbage() -> "weakref.ref[Node]":
    node = Node()
    gc.collect(1)  # it has been looked at twice, and was in use
    return weakref.ref(node)


@pytest.mark.usefixtures("settled")
def test_no_amount_of_work_brings_a_look_at_all_objects() -> None:
    left = old_garbage()
    before = gc.get_stats()
    kept = [[number] for number in range(500_000)]
    after = gc.get_stats()
    assert after[1]["collections"] > before[1]["collections"] + 10, "what is new is looked at"
    assert after[2]["collections"] == before[2]["collections"]
    assert left() is not None
    assert len(kept) == 500_000


@pytest.mark.usefixtures("settled")
def test_there_is_one_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "EVERY_S", 0.001)
    left = old_garbage()

    async def look() -> None:
        looking = asyncio.create_task(garbage.look_now_and_then())
        while left() is not None:
            await asyncio.sleep(0.001)
        looking.cancel()

    asyncio.run(asyncio.wait_for(look(), 20))
