"""A way to a server on which the first answer gets lost: the connection closes, or stays and is silent."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from loadtest.server import HOST


@contextmanager
def losing_the_first_answer(url: str, lost: Callable[[], None], closes: bool = True) -> Iterator[str]:
    """The URL of the way to `url`; `lost` is called while the first bytes of the first answer are in its hands."""
    port = int(url.rsplit(":", 1)[-1])
    first = iter([lost])
    with socket.create_server((HOST, 0)) as listening:
        accepting = threading.Thread(target=_accept, args=(listening, port, first, closes), daemon=True)
        accepting.start()
        yield f"http://{HOST}:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()


def _accept(listening: socket.socket, port: int, first: Iterator[Callable[[], None]], closes: bool) -> None:
    with suppress(OSError):  # at the end
        while True:
            caller, _ = listening.accept()
            server = socket.create_connection((HOST, port))
            threading.Thread(target=_carry, args=(caller, server, iter(()), closes), daemon=True).start()
            threading.Thread(target=_carry, args=(server, caller, first, closes), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket, first: Iterator[Callable[[], None]], closes: bool) -> None:
    carries = True
    with source, target, suppress(OSError):
        while part := source.recv(65_536):
            if (lost := next(first, None)) is not None:
                lost()
                carries = False
                if closes:
                    break
            if carries:
                target.sendall(part)
        for end in (source, target):
            end.shutdown(socket.SHUT_RDWR)
