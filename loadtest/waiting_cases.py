"""Cases that wait for a person, made as callers make them: through the API, from the bundled applications."""

from collections.abc import Sequence
from itertools import cycle, islice

import httpx

from decisions.record import CHANNELS
from loadtest.traffic import Values, read_applications

ROWS = 1000  # of one request
TIER = "medium"  # what the policy sends to the queue, unless it is told otherwise


def fill_queue(client: httpx.Client, cases: int, at_once: int = ROWS) -> int:
    """Adds at least `cases` of TIER, from one channel after the other, and says how many they are.

    Where the bundled applications are not enough, those of TIER are sent again: to the queue they are new cases.
    """
    channels, fresh, found = cycle(CHANNELS), read_applications(), list[Values]()
    while len(found) < cases and fresh:
        batch, fresh = fresh[:at_once], fresh[at_once:]
        found += _of_tier(client, batch, next(channels))
    assert found, f"none of the bundled applications is {TIER}"
    repeated = list(islice(cycle(found), max(0, cases - len(found))))
    for start in range(0, len(repeated), at_once):
        _of_tier(client, repeated[start : start + at_once], next(channels))
    return len(found) + len(repeated)


def _of_tier(client: httpx.Client, batch: Sequence[Values], channel: str) -> list[Values]:
    answer = client.post("/predict_batch", json={"applications": batch}, headers={"X-Channel": channel})
    results = answer.raise_for_status().json()["results"]
    return [application for application, result in zip(batch, results, strict=True) if result["tier"] == TIER]
