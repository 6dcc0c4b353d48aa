"""Connections are shared among workers by who holds the fewest, on either event loop."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest
import uvloop

from loadtest.server import Server
from serving import listener
from serving.draining import DRAINING
from serving.listener import Held, Listener, spread_connections
from tests.lab.workers import established
from tests.serving.test_server import eventually

Run = Callable[[Awaitable[None]], None]
NEVER_S = 3600.0


class Silent(asyncio.Protocol):
    """Says nothing."""


class Leaving(Silent):
    """Has uvicorn's attributes, and no request."""

    cycle = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def shutdown(self) -> None:
        self._transport.close()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody lingers, and this process is not taken for one that ends."""
    monkeypatch.setattr(listener, "LINGER_S", 0.001)
    monkeypatch.setattr(DRAINING, "begun", False)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    with asyncio.Runner(loop_factory=request.param) as runner:

        def within_a_deadline(awaitable: Awaitable[None]) -> None:
            runner.run(asyncio.wait_for(awaitable, 20))

        yield within_a_deadline


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as sock:
        yield sock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "held"


def own(held: Held) -> int:
    return held._connections


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0)


def test_a_worker_knows_whether_another_holds_fewer(file: Path) -> None:
    first, second = Held(file, 1), Held(file, 2)
    assert not first.is_more_than_others()
    first.add(1)
    assert first.is_more_than_others()
    assert not second.is_more_than_others()
    second.add(3)
    second.leave()
    second.add(-3)
    assert not first.is_more_than_others(), "who accepts nothing is left nothing"
    Held(file, 2)
    assert first.is_more_than_others(), "a worker that takes another's place starts from none"


def test_among_many_connections_one_makes_no_difference(file: Path) -> None:
    first, second = Held(file, 1), Held(file, 2)
    first.add(101)
    second.add(100)
    assert not first.is_more_than_others()
    first.add(20)
    assert first.is_more_than_others()


def test_a_connection_counts_from_its_start_to_its_end(run: Run, file: Path, listening: socket.socket) -> None:
    async def connect_and_leave() -> None:
        held = Held(file, 1)
        spread_connections(held)
        server = await asyncio.get_running_loop().create_server(Silent, sock=listening)
        for _ in range(3):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            await until(lambda: own(held) == 1)
            writer.close()
            await until(lambda: own(held) == 0)
        server.close()
        await server.wait_closed()
        assert held._slots[held._own] == 0

    run(connect_and_leave())


def test_new_connections_go_to_the_worker_that_holds_fewer(
    run: Run, file: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LEFT_TO_OTHERS_S", NEVER_S)

    async def connect() -> None:
        busy, idle = Held(file, 1), Held(file, 2)
        busy.add(5)
        sockets = [listening.dup(), listening.dup()]
        servers = [Listener(held, Silent, sock, None) for held, sock in zip([busy, idle], sockets, strict=True)]
        callers = [await asyncio.open_connection(*listening.getsockname()) for _ in range(5)]
        await until(lambda: own(busy) + own(idle) == 10)
        assert own(busy) == own(idle) == 5
        for _, writer in callers:
            writer.close()
        busy.add(-5)
        for server, sock in zip(servers, sockets, strict=True):
            server.close()
            sock.close()
        for server in servers:
            await server.wait_closed()

    run(connect())


def test_nobody_waits_for_a_worker_that_hangs(run: Run, file: Path, listening: socket.socket) -> None:
    async def connect() -> None:
        busy, hanging = Held(file, 1), Held(file, 2)
        busy.add(5)
        server = Listener(busy, Silent, listening, None)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        await until(lambda: own(busy) == 6)
        assert own(hanging) == 0
        busy.add(-5)
        writer.close()
        server.close()
        await server.wait_closed()

    run(connect())


def test_who_speaks_no_tls_is_no_longer_counted(run: Run, file: Path, listening: socket.socket) -> None:
    async def connect() -> None:
        held = Held(file, 1)
        server = Listener(held, Silent, listening, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        await until(lambda: own(held) == 1)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.read()
        writer.close()
        await until(lambda: own(held) == 0)
        server.close()
        await server.wait_closed()

    run(connect())


class FullSocket(socket.socket):
    """A listening socket that has met the limit of open files once; its duplicates share that."""

    met = False

    def accept(self) -> tuple[socket.socket, object]:
        if not FullSocket.met:
            FullSocket.met = True
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


def test_too_many_open_files_end_nothing(
    run: Run, file: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "TRY_AGAIN_S", 0.001)
    monkeypatch.setattr(FullSocket, "met", False)

    async def connect() -> None:
        held = Held(file, 1)
        with FullSocket(fileno=listening.dup().detach()) as full:
            server = Listener(held, Silent, full, None)
            _, writer = await asyncio.open_connection(*listening.getsockname())
            await until(lambda: own(held) == 1)
            assert full.met
            writer.close()
            server.close()
            await server.wait_closed()

    run(connect())


def test_a_worker_that_ends_leaves_new_connections_to_the_others(
    run: Run, file: Path, listening: socket.socket
) -> None:
    async def connect() -> None:
        ending, staying = Held(file, 1), Held(file, 2)
        servers = [Listener(held, Silent, listening, None) for held in (ending, staying)]
        servers[0].close()
        await servers[0].wait_closed()
        writers = [(await asyncio.open_connection(*listening.getsockname()))[1] for _ in range(3)]
        await until(lambda: own(staying) == 3)
        assert own(ending) == 0
        for writer in writers:
            writer.close()
        servers[1].close()
        await servers[1].wait_closed()

    run(connect())


def test_the_last_worker_takes_who_has_connected_and_has_the_rest_refused(
    run: Run, file: Path, listening: socket.socket
) -> None:
    async def connect() -> None:
        held = Held(file, 1)
        server = Listener(held, Leaving, listening, None)
        server.close()
        _, writer = await asyncio.open_connection(*listening.getsockname())
        await until(lambda: own(held) == 1)
        writer.close()
        await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*listening.getsockname())
        again = Listener(Held(file, 1), Leaving, listening, None)  # one that takes its place
        _, writer = await asyncio.open_connection(*listening.getsockname())
        writer.close()
        again.close()
        await again.wait_closed()

    run(connect())


def connections(server: Server) -> list[int]:
    """How many connections each worker holds."""
    return [established(server, worker) for worker in psutil.Process(server.pid).children()]


@pytest.mark.slow
def test_connections_opened_at_once_are_shared_by_both_workers(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")

    def shares() -> list[int]:
        callers = [socket.create_connection((host, int(port)), timeout=20) for _ in range(8)]
        try:
            for caller in callers:
                caller.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for caller in callers:
                assert caller.recv(1024).startswith(b"HTTP/1.1 200")
            return connections(server)
        finally:
            for caller in callers:
                caller.close()

    eventually(lambda: min(shares()) > 0)  # both workers have started
    smaller = []
    for _ in range(6):
        eventually(lambda: sum(connections(server)) == 0)
        smaller.append(min(shares()))
    # four each; a busy machine may keep a worker from its turn now and then
    assert sum(smaller) >= 15, smaller
