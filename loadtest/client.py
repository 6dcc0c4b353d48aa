"""What the client costs over httpx alone, and what BentoML's own costs: the same requests to one server, in turn.

python -m loadtest.client
"""

import asyncio
import io
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import cycle, islice

import bentoml
import httpx
import pyarrow as pa
import pyarrow.ipc

from loadtest.server import running_server
from loadtest.traffic import Values, read_applications
from riskline_client import AsyncClient, Client
from riskline_client.calls import ARROW, KEY, new_key

REQUESTS, UNCOUNTED = 600, 50
ROUNDS, BATCH_ROWS, TABLE_ROWS = 5, 1_000, 30_000


def main() -> None:
    applications = read_applications()
    with running_server({"RISKLINE_WORKERS": "1"}) as server:
        singles = asyncio.run(_singles(server.url, applications))
        many = _many(server.url, applications)
    print("| one application | median, ms | of it the caller's processor, µs |\n|---|---|---|")  # noqa: T201
    for name, (wall_s, processor_s) in singles.items():
        print(f"| {name} | {1e3 * wall_s:.2f} | {1e6 * processor_s:,.0f} |")  # noqa: T201
    print("\n| many applications | rows/s |\n|---|---|")  # noqa: T201
    for name, rows in many.items():
        print(f"| {name} | {rows:,.0f} |")  # noqa: T201


async def _singles(url: str, applications: list[Values]) -> dict[str, tuple[float, float]]:
    """Medians of a request, in seconds: until it is answered, and of this process's processor time."""
    to = f"{url}/predict"
    with httpx.Client() as plain, Client(url) as client, bentoml.SyncHTTPClient(url) as theirs:
        async with httpx.AsyncClient() as plain_async, AsyncClient(url) as client_async:
            ways: dict[str, Callable[[Values], object]] = {
                "`httpx.Client`, without an idempotency key": lambda one: _read(plain.post(to, json=one)),
                "`httpx.Client`, with one": lambda one: _read(plain.post(to, json=one, headers=_key())),
                "`Client`": client.predict,
                "`bentoml.SyncHTTPClient`": lambda one: theirs.call("predict", one),
                "`httpx.AsyncClient`, with one": lambda one: plain_async.post(to, json=one, headers=_key()),
                "`AsyncClient`": client_async.predict,
            }
            spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for application in islice(cycle(applications), REQUESTS + UNCOUNTED):
                for name, way in ways.items():
                    started, worked = time.perf_counter(), time.process_time()
                    answer = way(application)
                    if isinstance(answer, Awaitable):
                        answer = await answer
                    if isinstance(answer, httpx.Response):
                        _read(answer)
                    spent[name].append((time.perf_counter() - started, time.process_time() - worked))
    return {
        name: (statistics.median(wall for wall, _ in each), statistics.median(worked for _, worked in each))
        for name, each in ((name, each[UNCOUNTED:]) for name, each in spent.items())
    }


def _many(url: str, applications: list[Values]) -> dict[str, float]:
    """Rows a second, medians of rounds."""
    rows = list(islice(cycle(applications), BATCH_ROWS))
    table = pa.Table.from_pylist(list(islice(cycle(applications), TABLE_ROWS)))
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    to = f"{url}/predict_batch"
    with httpx.Client(timeout=60) as plain, Client(url) as client:

        def scored(headers: Mapping[str, str]) -> int:
            answer = plain.post(to, content=sink.getvalue(), headers={"Content-Type": ARROW, **headers})
            read: int = pyarrow.ipc.open_stream(answer.raise_for_status().content).read_all().num_rows
            return read

        ways: dict[str, Callable[[], int]] = {
            "`httpx.Client`, JSON, without a key": lambda: len(_rows(plain.post(to, json={"applications": rows}))),
            "`httpx.Client`, JSON, with one": lambda: len(
                _rows(plain.post(to, json={"applications": rows}, headers=_key()))
            ),
            "`Client.predict_batch`": lambda: len(client.predict_batch(rows)),
            "`httpx.Client`, Arrow, without a key": lambda: scored({}),
            "`httpx.Client`, Arrow, with one": lambda: scored(_key()),
            "`Client.predict_table`": lambda: int(client.predict_table(table).num_rows),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                started = time.perf_counter()
                count = way()
                rates[name].append(count / (time.perf_counter() - started))
    return {name: statistics.median(each) for name, each in rates.items()}


def _key() -> dict[str, str]:
    return {KEY: new_key()}


def _read(answer: httpx.Response) -> object:
    return answer.raise_for_status().json()


def _rows(answer: httpx.Response) -> list[object]:
    found: list[object] = answer.raise_for_status().json()["results"]
    return found


if __name__ == "__main__":
    main()
