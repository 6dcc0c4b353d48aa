"""Sends a worker more than it can answer, and counts what it still answers in time.

python -m loadtest.overload --seconds 10

First, callers who wait for each answer find out how much a worker answers: its capacity. Then requests come at their
own pace, whatever becomes of those before them, at 1, 2 and 5 times that. One finds a free connection, or opens one, or
if all are waiting for answers, is not sent. Latency counts from the moment it was due. The worker has a core to itself,
the generator the others, and never rests, so that no level has a quieter machine than another.
"""

import argparse
import json
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import psutil

from loadtest.server import HOST, running_server
from preprocessing.encode import FIELDS

CONNECTIONS = 1000
WAITING_CALLERS = 64
TIMES = (1.0, 2.0, 5.0)
WARM_UP_S = 3.0
BODY = json.dumps({item.name: item.kind.example for item in FIELDS}).encode()
REQUEST = (
    f"POST /predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY
GOODPUT_WANTED, P99_WANTED_MS = 0.8, 50.0


class Level(NamedTuple):
    """What came of one level of load; `unsent` were due while no connection was free."""

    times: float
    due: int
    unsent: int
    answered: int
    refused: int
    other: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused_p99_ms: float

    @property
    def goodput(self) -> float:
        """Answers a second, refusals not counted."""
        return self.answered / self.seconds


@dataclass(slots=True)
class Caller:
    """Connections to one server, driven by one thread."""

    port: int
    most: int
    idle: list[socket.socket] = field(default_factory=list)
    due: dict[int, tuple[socket.socket, float]] = field(default_factory=dict)  # by descriptor: who waits since when
    heard: dict[int, bytes] = field(default_factory=dict)
    latencies: dict[int, list[float]] = field(default_factory=dict)  # by status; 0 for a connection that was closed
    events: select.epoll = field(default_factory=select.epoll)

    def send(self, due: float) -> bool:
        """False where no connection is free."""
        if self.idle:
            connection = self.idle.pop()
        elif len(self.due) < self.most:
            connection = socket.create_connection((HOST, self.port), timeout=5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.events.register(connection, select.EPOLLIN)
        else:
            return False
        self.due[connection.fileno()] = connection, due
        try:
            connection.sendall(REQUEST)
        except OSError:
            self._end(connection)
        return True

    def listen(self, wait_s: float) -> None:
        """Takes in the answers that come within `wait_s`."""
        for descriptor, _ in self.events.poll(wait_s):
            if descriptor not in self.due:  # closed while nobody was asking
                self._drop(descriptor)
                continue
            connection, due = self.due[descriptor]
            try:
                chunk = connection.recv(65536)
            except OSError:
                chunk = b""
            heard = self.heard.pop(descriptor, b"") + chunk
            if not chunk:
                self._end(connection)
            elif _is_whole(heard):
                del self.due[descriptor]
                self.latencies.setdefault(int(heard[9:12]), []).append(time.perf_counter() - due)
                self.idle.append(connection)
            else:
                self.heard[descriptor] = heard

    def close(self) -> None:
        for connection, _ in self.due.values():
            connection.close()
        for connection in self.idle:
            connection.close()
        self.events.close()

    def _end(self, connection: socket.socket) -> None:
        del self.due[connection.fileno()]
        self.latencies.setdefault(0, []).append(0.0)
        self.events.unregister(connection)
        connection.close()

    def _drop(self, descriptor: int) -> None:
        for connection in self.idle:
            if connection.fileno() == descriptor:
                self.idle.remove(connection)
                self.events.unregister(connection)
                connection.close()
                return


def _is_whole(heard: bytes) -> bool:
    head, end, body = heard.lower().partition(b"\r\n\r\n")
    return bool(end) and len(body) >= int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)


def waiting(port: int, seconds: float) -> float:
    """Answers a second to callers who wait for each answer."""
    with _caller(port, WAITING_CALLERS) as caller:
        ends = time.perf_counter() + seconds
        while (now := time.perf_counter()) < ends:
            while len(caller.due) < WAITING_CALLERS:
                caller.send(now)
            caller.listen(0.0)
        return len(caller.latencies.get(200, [])) / seconds


def at_rate(port: int, rate: float, seconds: float, times: float) -> Level:
    """Requests that are due `rate` times a second, evenly."""
    with _caller(port, CONNECTIONS) as caller:
        began = time.perf_counter()
        due, unsent, all_due = 0, 0, int(rate * seconds)
        while due < all_due:
            now = time.perf_counter()
            while due < all_due and began + due / rate <= now:
                unsent += not caller.send(began + due / rate)
                due += 1
            caller.listen(0.0)
        took = time.perf_counter() - began
        within = {status: len(found) for status, found in caller.latencies.items()}
        until = time.perf_counter() + 5
        while caller.due and time.perf_counter() < until:  # so that the last latencies count too
            caller.listen(0.01)
        good, refused = caller.latencies.get(200, []), caller.latencies.get(503, [])
        other = sum(map(len, caller.latencies.values())) - len(good) - len(refused) + len(caller.due)
        return Level(
            times, due, unsent, within.get(200, 0), within.get(503, 0), other, took,
            _percentile(good, 50), _percentile(good, 99), _percentile(refused, 99),
        )  # fmt: skip


def _percentile(seconds: list[float], percent: float) -> float:
    return float(np.percentile(seconds, percent)) * 1000 if seconds else float("nan")


@contextmanager
def _caller(port: int, most: int) -> Iterator[Caller]:
    caller = Caller(port, most)
    try:
        yield caller
    finally:
        caller.close()


def _apart(pid: int) -> None:
    """Gives the server a core of its own, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        server = psutil.Process(pid)
        for process in (server, *server.children(recursive=True)):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores[:1])
        os.sched_setaffinity(0, cores[1:])


def measure(seconds: float) -> list[Level]:
    """The levels of load, one after the other, of one server."""
    with running_server({"RISKLINE_WORKERS": "1"}) as server:
        _apart(server.pid)
        port = int(server.url.rsplit(":", 1)[1])
        waiting(port, WARM_UP_S)
        capacity = waiting(port, seconds)
        print(f"{WAITING_CALLERS} callers who wait for their answers get {capacity:,.0f} a second", flush=True)  # noqa: T201
        return [at_rate(port, times * capacity, seconds, times) for times in TIMES]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.overload", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each level")
    levels = measure(parser.parse_args().seconds)
    print("| load | due a second | answered | p50 ms | p99 ms | refused | their p99 ms | not sent | other |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for level in levels:
        print(  # noqa: T201
            f"| {level.times:g} x | {level.due / level.seconds:,.0f} | {level.goodput:,.0f} | {level.p50_ms:.1f} | "
            f"{level.p99_ms:.1f} | {level.refused / level.seconds:,.0f} | {level.refused_p99_ms:.1f} | "
            f"{level.unsent / level.seconds:,.0f} | {level.other} |"
        )
    kept = levels[-1].goodput / max(level.goodput for level in levels)
    print(f"goodput at {TIMES[-1]:g} x is {kept:.2f} of the peak (wanted {GOODPUT_WANTED}); ", end="")  # noqa: T201
    print(f"p99 of what was let in {levels[-1].p99_ms:.1f} ms (wanted {P99_WANTED_MS:g})")  # noqa: T201
    sys.exit(0 if kept >= GOODPUT_WANTED and levels[-1].p99_ms <= P99_WANTED_MS else 1)


if __name__ == "__main__":
    main()
