"""What the service says on stdout: a JSON object a line, each with `timestamp` (seconds since 1970) and `event`.

No line holds a value of an application. So an exception is told by its type and the places it passed; its words are
there only where they are Riskline's own or the operating system's.
"""

import logging
import os
import re
import select
import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from zlib import crc32

from pydantic_core import to_json

from decisions.record import Origin
from model.policy import TIERS
from preprocessing.errors import RisklineError
from serving import metrics
from serving.scorer import Scores

WRITE_EVERY_S = 0.25
MOST_WAITING = 100_000  # lines; about 30 MB
MOST_FRAMES = 20
_STDOUT = 1
# a write of so many bytes is not cut by another worker's (POSIX, of pipes)
_PIECE = select.PIPE_BUF
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def trace_id(headers: Mapping[bytes, bytes]) -> str:
    """The trace that a request is part of by its traceparent (W3C Trace Context); empty without a valid one."""
    sent = headers.get(b"traceparent")
    return "" if sent is None or (found := _TRACEPARENT.fullmatch(sent)) is None else found[1].decode()


class Lines:
    """Lines on their way to stdout, written a few times a second by a thread: no request waits for who reads them."""

    def __init__(self) -> None:
        self._waiting: deque[Mapping[str, object]] = deque()
        self._piece = b""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def add(self, event: str, **content: object) -> None:
        """Where nobody reads, and too many wait, the line is lost and counted."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append({"timestamp": round(time.time(), 6), "event": event, **content})
        else:
            metrics.count_lost_line()

    def close(self) -> None:
        """Writes the rest, as long as somebody reads it."""
        self._closed.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._closed.wait(WRITE_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        try:
            while self._piece or self._waiting:
                self._piece = self._piece or self._next_piece()
                self._piece = self._piece[os.write(_STDOUT, self._piece) :]
        except OSError:  # a full disk, say: the next round may find room
            return

    def _next_piece(self) -> bytes:
        piece = b""
        while self._waiting:
            line = to_json(self._waiting[0]) + b"\n"
            if piece and len(piece) + len(line) > _PIECE:
                break
            piece += line
            self._waiting.popleft()
        return piece


class DecisionLog:
    """A line for a share of the decisions: the same ones on every worker, chosen by their ids."""

    def __init__(self, lines: Lines, share: float) -> None:
        self._lines, self._below = lines, round(share * 2**32)

    def add(self, scores: Scores, origins: Sequence[Origin]) -> None:
        """Tells what was decided. Nothing was about a refused row, nor now about one that stood already."""
        for row, decision_id in enumerate(scores.decision_id):
            if crc32(decision_id.encode()) < self._below and row not in scores.refused and row not in scores.stood:
                origin = origins[row]
                self._lines.add(
                    "decision",
                    decision_id=decision_id,
                    tier=TIERS[scores.tier[row]],
                    channel=origin.channel,
                    request_id=origin.request_id,
                    trace_id=origin.trace_id,
                    model_version=scores.model_version,
                    policy_version=scores.policy_version,
                )


class JsonFormatter(logging.Formatter):
    """A record as a line; what was given as `extra={"about": {…}}` stands in it too."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": round(record.created, 6),
            "event": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= getattr(record, "about", {})
        if record.exc_info and (error := record.exc_info[1]):
            frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
            line["error"] = type(error).__name__
            if isinstance(error, RisklineError):
                line["error_message"] = error.message
            elif isinstance(error, OSError) and error.errno:
                line["error_message"] = os.strerror(error.errno)
            line["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return to_json(line).decode()


def log_to_stdout() -> None:
    """Has everything that the service logs written as lines from now on; safe to call again."""
    logger = logging.getLogger("riskline")
    handler = logging.StreamHandler(os.fdopen(os.dup(_STDOUT), "w", buffering=1))
    handler.setFormatter(JsonFormatter())
    logger.handlers = [handler]
    logger.propagate = False
