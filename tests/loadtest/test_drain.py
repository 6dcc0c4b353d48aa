"""No request that was taken is lost when SIGTERM comes at full load; and the count would tell if one were."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest import drain
from loadtest.drain import Ledger, ended_under_load
from loadtest.server import HOST

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_at_full_load_loses_nothing(model_folder: Path, workers: int) -> None:
    ledger = drain.drain({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": str(workers)})
    assert ledger.answered >= drain.ANSWERED_BEFORE
    assert ledger.lost == []


@pytest.mark.parametrize("caller", [drain._keep_asking, drain._ask_anew])
@pytest.mark.parametrize(
    ("answer", "answered", "lost"),
    [
        (ANSWER + b"connection: close\r\n\r\nwell", 1, []),
        (b"", 0, ["closed after 0 bytes of an answer"]),
        (ANSWER + b"\r\nwe", 0, [f"closed after {len(ANSWER) + 4} bytes of an answer"]),
        (ANSWER.replace(b"200", b"503") + b"connection: close\r\n\r\nwell", 0, ["status 503"]),
    ],
)
def test_what_is_taken_and_not_answered_whole_is_counted(
    caller: Callable[[int, Ledger], None], answer: bytes, answered: int, lost: list[str]
) -> None:
    ledger = Ledger()
    with socket.create_server((HOST, 0)) as server:
        thread = threading.Thread(target=caller, args=(server.getsockname()[1], ledger))
        thread.start()
        connection, _ = server.accept()
    with connection:  # nobody listens any more: the next one is refused
        heard = b""
        while not heard.endswith(drain.BODY):
            heard += connection.recv(65536)
        connection.sendall(answer)
    thread.join(20)
    assert (ledger.answered, ledger.lost) == (answered, lost)


def test_who_is_not_loaded_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "CALLERS", 2)
    with socket.create_server((HOST, 0)) as nobody:
        port = nobody.getsockname()[1]
        nobody.close()
        ended = threading.Event()
        with pytest.raises(drain.NotLoadedError, match="only 0 requests"):
            ended_under_load(port, ended.set)
    assert ended.is_set()
