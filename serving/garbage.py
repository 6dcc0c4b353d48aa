"""When Python may look for objects that only refer to each other, which nothing else frees.

A look at all objects takes 50 ms with a thousand connections, and under load Python takes one after a few thousand
requests: every answer of that moment is late by as much. There is next to nothing to find, so one in half a minute is
enough. The quick looks at what is new go on as ever.
"""

import asyncio
import gc

EVERY_S = 30.0
_NEVER = 2**31 - 1


def settle() -> None:
    """Leaves what is there now out of every look, and looks at all the rest only when `look_now_and_then` does."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


async def look_now_and_then() -> None:
    """Runs beside the requests."""
    while True:
        await asyncio.sleep(EVERY_S)
        gc.collect()
