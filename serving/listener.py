"""A new connection goes to the worker that holds the fewest.

The workers inherit one listening socket from BentoML, and who wakes first takes what is there: of the eight connections
that a load balancer keeps open, one worker may get all, and the other core idles for as long as they last. So each
worker says in a small shared file how many it holds, and one that holds more than another leaves a new connection to
the others for a moment. Then it takes it all the same: nobody waits for a worker that hangs or has ended.
"""

import asyncio
import logging
import mmap
import os
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger("riskline")

MOST_WORKERS = 256
LEFT_TO_OTHERS_S = 0.001  # uvloop knows no shorter time
TRY_AGAIN_S = 1.0  # after an error such as too many open files
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

    def add(self, connections: int) -> None:
        self._connections += connections
        if self._accepting:
            self._slots[self._own] = self._connections + 1

    def is_more_than_others(self) -> bool:
        """Whether some other worker holds clearly fewer; among many connections one or two make no difference."""
        own = self._connections
        return own - own // 16 > min(filter(None, self._slots)) - 1

    def leave(self) -> None:
        """Leaves it to the others from now on."""
        self._accepting = False
        self._slots[self._own] = 0


class Listener:
    """Accepts from a listening socket, one connection a turn of the loop, as long as no other worker holds fewer."""

    def __init__(self, held: Held, factory: Factory, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self._held, self._factory, self._socket, self._ssl = held, factory, sock, context
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[Any]] = set()
        self._again: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        self._loop.add_reader(sock, self._readable)

    def close(self) -> None:
        self._held.leave()
        if self._again:
            self._again.cancel()
        self._loop.remove_reader(self._socket)

    async def wait_closed(self) -> None:
        if self._starting:
            await asyncio.wait(self._starting)

    def _readable(self) -> None:
        if self._held.is_more_than_others():
            self._pause(LEFT_TO_OTHERS_S)
        else:
            self._accept()

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._socket)
        self._again = self._loop.call_later(seconds, self._after_pause)

    def _after_pause(self) -> None:
        self._loop.add_reader(self._socket, self._readable)
        self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was faster, or the caller has gone
        except OSError:
            log.exception("a connection could not be accepted")
            self._pause(TRY_AGAIN_S)
            return
        connection.setblocking(False)
        self._held.add(1)  # now, and not when it has started: another one may be waiting
        task = self._loop.create_task(self._start(connection))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, connection: socket.socket) -> None:
        protocol = self._factory()

        def connection_lost(error: Exception | None) -> None:
            self._held.add(-1)
            del protocol.__dict__["connection_lost"]
            protocol.connection_lost(error)

        protocol.__dict__["connection_lost"] = connection_lost
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._ssl)
        except OSError:  # the caller has gone already, or speaks no TLS
            if "connection_lost" in protocol.__dict__:
                self._held.add(-1)


def spread_connections(held: Held) -> None:
    """Has the servers that are started on the running loop from now on, with a socket, share their connections."""
    loop = asyncio.get_running_loop()
    loop_creates = loop.create_server

    async def create_server(factory: Factory, *args: Any, **options: Any) -> Any:
        if options.get("sock") is None:
            return await loop_creates(factory, *args, **options)
        return Listener(held, factory, options["sock"], options.get("ssl"))

    # uvicorn, which BentoML starts, asks its loop for a server and has no other way to be given one
    setattr(loop, "create_server", create_server)  # noqa: B010 - mypy knows it as a method
