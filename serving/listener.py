"""A new connection goes to the worker that holds the fewest.

The workers inherit one listening socket from BentoML, and who wakes first takes what is there: of the eight connections
that a load balancer keeps open, one worker may get all, and the other core idles for as long as they last. So each
worker says in a small shared file how many it holds, and one that holds more than another leaves a new connection to
the others for a moment. Then it takes it all the same: nobody waits for a worker that hangs or has ended.

A worker that ends leaves new connections to the others. The last one goes on accepting for a moment, takes what has
connected by then, and has the system refuse the rest: BentoML's supervisor still has the socket open, and callers would
wait there for nobody.
"""

import asyncio
import contextlib
import logging
import mmap
import os
import resource
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.connections import Connection, Patience
from serving.draining import DRAINING, LINGER_S

log = logging.getLogger("riskline")

MOST_WORKERS = 256
AT_ONCE = 64  # connections; under load a turn of the loop is long, and who waits for it is not counted anywhere
FULL_S = 0.05  # until the next look for a connection that could make room
LEFT_TO_OTHERS_S = 0.001  # uvloop knows no shorter time
BACKLOG = 2048  # BentoML's
MOST_CONNECTIONS = 4096
OTHER_FILES = 200  # that a worker has open, or may need: bodies, journals, the store
LOOK_AT_CONNECTIONS_S = 1.0
TRY_AGAIN_S = 1.0  # after an error such as too many open files
# The loop's own are a minute to agree on TLS, and half a minute in which a caller may answer its end: with an idle
# caller who does not, stopping would take longer than Docker and Kubernetes wait
TLS_TIMES = {"ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": 2.0}
LOOK_EVERY_S = 0.02
_SLOT = struct.calcsize("i")

Factory = Callable[[], asyncio.BaseProtocol]


class Held:
    """How many connections each worker of a server holds, in a file that all of them map.

    A slot is 0 where there is no worker that accepts, else 1 more than it holds. `worker` counts from 1, and who takes
    a dead worker's place takes its slot.
    """

    def __init__(self, file: Path, worker: int) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, MOST_WORKERS * _SLOT)
            self._slots = memoryview(mmap.mmap(descriptor, MOST_WORKERS * _SLOT)).cast("i")
        finally:
            os.close(descriptor)
        self._own = worker - 1
        self._connections = 0
        self._accepting = True
        self.add(0)

    @property
    def connections(self) -> int:
        """This worker's."""
        return self._connections

    def add(self, connections: int) -> None:
        self._connections += connections
        if self._accepting:
            self._slots[self._own] = self._connections + 1

    def is_more_than_others(self) -> bool:
        """Whether some other worker holds clearly fewer; among many connections one or two make no difference."""
        own = self._connections
        return self._accepting and own - own // 16 > min(filter(None, self._slots)) - 1

    def leave(self) -> bool:
        """Leaves it to the others from now on; False if there are none."""
        self._accepting = False
        self._slots[self._own] = 0
        return any(self._slots)


class Listener:
    """Accepts from a listening socket what connects, as long as no other worker holds fewer connections.

    In asyncio's terms it is a server; `protocol.shutdown` is what uvicorn calls on each connection after `close`.
    """

    def __init__(
        self,
        held: Held,
        factory: Factory,
        sock: socket.socket,
        context: ssl.SSLContext | None,
        backlog: int = BACKLOG,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        self._most, self._patience = most, Patience()
        self._held, self._factory, self._ssl = held, factory, context
        self._socket = sock.dup()  # uvicorn closes its own before the last connections are accepted
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[Any]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._closing, self._closed = False, asyncio.Event()
        self._socket.setblocking(False)
        self._socket.listen(backlog)  # again, where the last worker before this one has ended it
        self._loop.add_reader(self._socket, self._readable)
        self._look()

    def close(self) -> None:
        """From now on the process drains; see the top of this file."""
        self._closing = DRAINING.begun = True
        if self._held.leave():
            self._end(is_last=False)
        else:
            self._loop.call_later(LINGER_S, self._end, True)

    async def wait_closed(self) -> None:
        """Until nobody is accepted any more and the last connection has ended."""
        await self._closed.wait()
        while self._starting or self._held.connections:
            await asyncio.sleep(LOOK_EVERY_S)

    def _end(self, is_last: bool) -> None:
        if self._again:
            self._again.cancel()
        self._loop.remove_reader(self._socket)
        if is_last:
            while self._accept():
                pass
            with contextlib.suppress(OSError):  # two that ended at once may both be last
                self._socket.shutdown(socket.SHUT_RD)
        self._socket.close()
        self._closed.set()

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            if self._held.is_more_than_others():
                return self._pause(LEFT_TO_OTHERS_S)
            if self._held.connections > self._most and not self._patience.end_longest():
                return self._pause(FULL_S)
            if not self._accept():
                return None
        return None

    def _look(self) -> None:
        self._patience.look(self._loop.time())
        if not self._closed.is_set():
            self._loop.call_later(LOOK_AT_CONNECTIONS_S, self._look)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._socket)
        self._again = self._loop.call_later(seconds, self._after_pause)

    def _after_pause(self) -> None:
        self._loop.add_reader(self._socket, self._readable)
        if self._held.connections <= self._most:
            self._accept()

    def _accept(self) -> bool:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another worker was faster, or the caller has gone
        except OSError:
            if self._closing:
                self._loop.remove_reader(self._socket)
            else:
                log.exception("a connection could not be accepted")
                self._pause(TRY_AGAIN_S)
            return False
        connection.setblocking(False)
        self._held.add(1)  # now, and not when it has started: another one may be waiting
        task = self._loop.create_task(self._start(connection))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        return True

    async def _start(self, connection: socket.socket) -> None:
        protocol: Any = self._factory()

        def connection_lost(error: Exception | None) -> None:
            self._held.add(-1)
            self._patience.forget(protocol)
            del protocol.__dict__["connection_lost"]
            protocol.connection_lost(error)

        def shutdown() -> None:
            """Who is being answered gets the rest; who is idle may have sent something already."""
            del protocol.__dict__["shutdown"]
            cycle = protocol.cycle
            if cycle is None or cycle.response_complete:
                self._loop.call_later(LINGER_S, protocol.shutdown)
            else:
                protocol.shutdown()

        protocol.__dict__["connection_lost"] = connection_lost
        protocol.__dict__["shutdown"] = shutdown
        try:
            times = TLS_TIMES if self._ssl else {}
            await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._ssl, **times)
        except OSError:  # the caller has gone already, or speaks no TLS
            if "connection_lost" in protocol.__dict__:
                self._held.add(-1)
        else:
            if isinstance(protocol, Connection) and "connection_lost" in protocol.__dict__:
                self._patience.add(protocol, self._loop.time())
            if self._closing and "shutdown" in protocol.__dict__:  # uvicorn did not know it yet
                protocol.shutdown()


def files() -> int:
    """How many files this process may have open, once it has taken what it may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def spread_connections(held: Held, most: int = MOST_CONNECTIONS) -> None:
    """Has the servers that are started on the running loop from now on, with a socket, share their connections.

    No worker takes more than `most`, or than the system gives it files for.
    """
    own = files()
    most = min(most, max(own - OTHER_FILES, own // 2))
    loop = asyncio.get_running_loop()
    loop_creates = loop.create_server

    async def create_server(factory: Factory, *args: Any, **options: Any) -> Any:
        if options.get("sock") is None:
            return await loop_creates(factory, *args, **options)
        return Listener(held, factory, options["sock"], options.get("ssl"), options.get("backlog", BACKLOG), most)

    # uvicorn, which BentoML starts, asks its loop for a server and has no other way to be given one
    setattr(loop, "create_server", create_server)  # noqa: B010 - mypy knows it as a method
