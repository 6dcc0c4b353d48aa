"""What a connection may cost, with real sockets: in this process, and with a server of two workers."""

import asyncio
import json
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from loadtest.server import HOST, running_server
from serving import connections, listener
from serving.connections import MOST_HEAD_BYTES, Connection
from serving.draining import DRAINING
from serving.listener import Held, Listener, files

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
SLOW = GET.replace(b"/ ", b"/slow ")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how many header lines it saw; at /large it says 64 MiB, at /slow nothing for as long as the caller stays."""
    if scope["path"] == "/slow":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    body = bytes(2**26) if scope["path"] == "/large" else b"%d" % len(scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@dataclass(slots=True)
class Caller:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, bytes]:
        """The next answer's status and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All that still comes until the connection ends."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""


@dataclass(slots=True)
class Room:
    """A listener that has places for three and the one that has just come, and those who call it."""

    port: int
    listener: Listener
    callers: list[Caller] = field(default_factory=list)

    async def call(self, sent: bytes = b"") -> Caller:
        self.callers.append(Caller(*await asyncio.open_connection(HOST, self.port)))
        self.callers[-1].writer.write(sent)
        return self.callers[-1]

    def seen(self) -> bool:
        """Whether the listener has seen everything that its callers have done."""
        return all(one.standing() == known for one, (known, _) in self.listener._patience._since.items())

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            await asyncio.sleep(0.001)


Talk = Callable[[Callable[[Room], Awaitable[None]]], None]


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Talk]:
    """Runs a coroutine in a room whose listener looks at its connections all the time."""
    monkeypatch.setattr(listener, "LOOK_AT_CONNECTIONS_S", 0.001)
    monkeypatch.setattr(listener, "FULL_S", 0.001)
    monkeypatch.setattr(listener, "LINGER_S", 0.001)
    monkeypatch.setattr(DRAINING, "begun", False)

    async def talking(say: Callable[[Room], Awaitable[None]]) -> None:
        config = Config(app, log_config=None, http=Connection, timeout_keep_alive=60)
        config.load()
        state = ServerState()
        with socket.create_server((HOST, 0)) as sock:
            held = Held(tmp_path / "held", 1)
            made = Listener(held, lambda: Connection(config, state, {}), sock, None, most=3)
            room = Room(sock.getsockname()[1], made)
            try:
                await asyncio.wait_for(say(room), 30)
            finally:
                for caller in room.callers:
                    caller.writer.transport.abort()
                made.close()
                await made.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield lambda say: runner.run(talking(say))


def test_a_head_of_any_usual_size_is_answered_however_it_comes(talk: Talk) -> None:
    async def say(room: Room) -> None:
        caller = await room.call()
        large = b"GET / HTTP/1.1\r\nHost: here\r\nX-Large: " + b"a" * (MOST_HEAD_BYTES - 100) + b"\r\n\r\n"
        for request in (GET, large):
            for begin in range(0, len(request), 1000):
                caller.writer.write(request[begin : begin + 1000])
                await caller.writer.drain()
            assert await caller.answer() == (200, b"1" if request is GET else b"2")
        caller.writer.write(GET * 5)
        assert [await caller.answer() for _ in range(5)] == [(200, b"1")] * 5

    talk(say)


@pytest.mark.parametrize("line", [b"X: a\r\n", b"X-Long: " + b"a" * 1000], ids=["lines", "one line"])
def test_a_head_without_end_is_refused_before_it_is_taken_in(talk: Talk, line: bytes) -> None:
    async def say(room: Room) -> None:
        caller = await room.call(b"GET / HTTP/1.1\r\n" + line * (3 * MOST_HEAD_BYTES // len(line)))
        status, body = await caller.answer()
        assert (status, json.loads(body)["error"]) == (431, "head_too_large")
        assert await caller.rest() == b""

    talk(say)


@pytest.mark.parametrize(("size", "status"), [(MOST_HEAD_BYTES, 200), (MOST_HEAD_BYTES + 1, 431)])
def test_the_limit_of_a_head_is_exact(talk: Talk, size: int, status: int) -> None:
    async def say(room: Room) -> None:
        begun = b"GET / HTTP/1.1\r\nX-Large: "
        caller = await room.call(begun + b"a" * (size - len(begun) - 4) + b"\r\n\r\n")
        assert (await caller.answer())[0] == status

    talk(say)


def test_what_is_no_http_is_refused_in_the_form_of_all_errors(talk: Talk) -> None:
    async def say(room: Room) -> None:
        caller = await room.call(b"NO HTTP AT ALL\r\n\r\n")
        status, body = await caller.answer()
        assert (status, json.loads(body)["error"]) == (400, "malformed_request")
        assert await caller.rest() == b""

    talk(say)


def test_who_sends_rubbish_after_a_good_request_hears_the_answer_to_that_and_no_more(talk: Talk) -> None:
    async def say(room: Room) -> None:
        caller = await room.call(GET + b"\x00\x01 rubbish\r\n\r\n" + GET)
        assert await caller.answer() == (200, b"1")
        assert await caller.rest() == b""

    talk(say)


def test_headers_after_a_body_are_forgotten(talk: Talk) -> None:
    async def say(room: Room) -> None:
        chunked = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        caller = await room.call(chunked + b"1\r\na\r\n0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n")
        assert await caller.answer() == (200, b"2")

    talk(say)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET[:-2]], ids=["nothing", "a line", "a head without its end"])
def test_who_does_not_come_to_the_end_of_a_head_is_sent_away(
    talk: Talk, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.05)

    async def say(room: Room) -> None:
        assert await (await room.call(sent)).rest() == b""

    talk(say)


def test_who_is_being_answered_or_rests_between_two_requests_stays(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.5)

    async def say(room: Room) -> None:
        waiting, resting = await room.call(SLOW), await room.call(GET)
        assert await resting.answer() == (200, b"1")
        assert await (await room.call()).rest() == b"", "who says nothing is sent away meanwhile"
        resting.writer.write(GET)
        assert await resting.answer() == (200, b"1")
        assert not waiting.reader.at_eof()

    talk(say)


def test_who_does_not_read_is_sent_away(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_WITHIN_S", 0.1)

    async def say(room: Room) -> None:
        with socket.create_connection((HOST, room.port)) as deaf:
            deaf.sendall(GET.replace(b"/ ", b"/large "))
            await room.until(lambda: room.listener._held.connections == 1)
            await room.until(lambda: room.listener._held.connections == 0)

    talk(say)


def test_one_too_many_takes_the_place_of_the_one_that_has_been_silent_longest(talk: Talk) -> None:
    async def say(room: Room) -> None:
        callers = []
        for _ in range(3):
            callers.append(await room.call(GET))
            await callers[-1].answer()
            await room.until(room.seen)
        callers[0].writer.write(GET)
        await callers[0].answer()
        await room.until(room.seen)
        assert await (await room.call(GET)).answer() == (200, b"1")
        assert await callers[1].rest() == b""
        for caller in (callers[0], callers[2]):
            caller.writer.write(GET)
            assert await caller.answer() == (200, b"1")

    talk(say)


def test_one_too_many_waits_where_the_worker_works_for_all_others(talk: Talk) -> None:
    async def say(room: Room) -> None:
        patience = room.listener._patience
        working = [await room.call(SLOW) for _ in range(4)]
        await room.until(lambda: sum(one.standing().patience_s is None for one in patience._since) == 4)
        waiting = asyncio.ensure_future((await room.call(GET)).answer())
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        working[0].writer.close()
        assert await waiting == (200, b"1")

    talk(say)


def test_a_worker_may_open_as_many_files_as_the_system_allows() -> None:
    most = files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)


@pytest.mark.slow
def test_a_crowd_of_slow_callers_keeps_nobody_from_being_answered(model_folder: Path) -> None:
    """A thousand connections with half a head each, to a server that takes a few dozen."""
    limits = {"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2", "RISKLINE_MAX_CONNECTIONS": "32"}
    with running_server(limits) as server, ExitStack() as crowd:
        port = int(server.url.rsplit(":", 1)[1])
        for number in range(1000):
            slow = crowd.enter_context(socket.create_connection((HOST, port), timeout=20))
            slow.sendall(b"POST /predict HTTP/1.1\r\nHost: here\r\nX: ")
            if number % 50 == 0:
                assert alive(port)
        assert alive(port)


def alive(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=20) as caller:
        caller.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        return caller.recv(4096).startswith(b"HTTP/1.1 200")
