"""Sends a running server requests that nobody should send, and holds it to what is promised of its answers.

python -m loadtest.hostile --count 100000 --seed 1

Each is answered, in Riskline's form, or its connection is closed where it is no HTTP; none with a 5xx that nobody has
documented; no answer and no line of the log repeats a value; no worker ends, memory stays where it was, and a good
application is scored the same before, between and after.
"""

import argparse
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import psutil

from loadtest.hostile_bad import NAME, PATH, VALUE, Bad
from loadtest.hostile_caller import ANSWER_WITHIN_S, Caller
from loadtest.hostile_files import EXAMPLE
from loadtest.hostile_requests import bad_request, prepare
from loadtest.server import Server, ServerNotReadyError, running_server
from serving.keys import SCOPES, new_key, write_keys

CALLERS = 8
WARM_UP = 20_000  # requests before memory is measured: until then pools fill, and fewer say nothing of it
LOOK_EVERY = 500  # requests of one caller between two good ones
MOST_GROWTH = 0.1  # of the memory of all workers together
ALLOWED_5XX = {501, 503, 504, 507}
SETTINGS = {
    "RISKLINE_WORKERS": "2",
    "RISKLINE_ACCESS_LOG": "true",
    "RISKLINE_LOG_DECISIONS": "1",
    "RISKLINE_MAX_BULK_ROWS": "20000",
    "SAGEMAKER_MULTI_MODEL": "true",
}
_NOT_REPEATED = re.compile(rb"%b[0-9a-f]{12}" % VALUE.encode())
_NOT_LOGGED = re.compile(rb"(?:%b)[0-9a-f]{12}" % b"|".join(mark.encode() for mark in (VALUE, NAME, PATH)))


@dataclass(slots=True)
class Seen:
    """What became of the requests; `broken` says which promise was not kept, and by what."""

    statuses: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    workers_ended: int = 0
    mib_before: float = 0.0
    mib_after: float = 0.0
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, bad: Bad, answers: Sequence[bytes]) -> None:
        faults = faults_of(bad, answers)
        with self.lock:
            self.kinds[bad.kind] += 1
            self.statuses.update([str(status_of(answer)) for answer in answers] or ["connection closed"])
            self.broken += [
                f"{fault}: {bad.kind} {bad.method} {bad.target[:80]} {bad.body[:300]!r}" for fault in faults
            ]

    def break_promise(self, what: str) -> None:
        with self.lock:
            self.broken.append(what)


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


def faults_of(bad: Bad, answers: Sequence[bytes]) -> list[str]:
    """Which promises the answers to one request break."""
    found = []
    if bad.is_http and not answers:
        found.append("no answer")
    if len(answers) > 1:
        found.append("two answers to one request")
    for answer in answers:
        status = status_of(answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        if status >= 500 and status not in ALLOWED_5XX:
            found.append(f"status {status}")
        if mark := _NOT_REPEATED.search(answer):
            found.append(f"a value in the answer ({mark[0].decode()})")
        if status >= 400 and bad.method != "HEAD" and not _is_our_form(body, bad.target):
            found.append(f"status {status} in another form: {body[:80]!r}")
        if b"Traceback" in body or b"x-injected" in head.lower():
            found.append("what nobody may see")
    return found


def _is_our_form(body: bytes, target: str) -> bool:
    """An error's, or what the Open Inference Protocol and Amazon Connect, who takes flat attributes, have instead."""
    with suppress(ValueError):
        told = json.loads(body)
        if not isinstance(told, dict):
            return False
        if target.startswith("/v2"):
            return set(told) in _INFERENCE
        if target.startswith("/channels/phone") and {"error", "message"} <= set(told):
            return "detail" in told or not any(isinstance(value, dict | list) for value in told.values())
        return set(told) == _ERROR
    return False


_ERROR = {"error", "message", "detail"}
_INFERENCE = (_ERROR, {"error"}, {"ready"}, {"name", "ready"})


def attack(server: Server, key: str, count: int, seed: int) -> Seen:
    """Sends `count` requests from `CALLERS` threads, the first of them as a warm-up that counts too."""
    seen, port = Seen(), int(server.url.rsplit(":", 1)[1])
    prepare()
    pids = _workers(server)
    good = _good(port, key)
    started = time.monotonic()
    warm = min(WARM_UP, count // 4)
    _send(seen, port, key, good, warm, seed)
    seen.mib_before = _mib(server)
    _send(seen, port, key, good, count - warm, seed + 1)
    seen.seconds = time.monotonic() - started
    seen.mib_after = _mib(server)
    if _good(port, key) != good:
        seen.break_promise("a good application is scored otherwise than before")
    seen.workers_ended = len(pids - _workers(server))
    if seen.workers_ended:
        seen.break_promise(f"{seen.workers_ended} workers ended")
    if warm == WARM_UP and seen.mib_after > (1 + MOST_GROWTH) * seen.mib_before:
        seen.break_promise(f"the workers have grown from {seen.mib_before:.0f} to {seen.mib_after:.0f} MiB")
    for line in server.log.read_bytes().splitlines():
        if _NOT_LOGGED.search(line) or key.encode() in line:
            seen.break_promise(f"a value in the log: {line[:300]!r}")
        elif b"Traceback" in line or b'"frames"' in line or b"Exception" in line:
            seen.break_promise(f"an exception in the log: {line[:600]!r}")
    return seen


def _send(seen: Seen, port: int, key: str, good: object, count: int, seed: int) -> None:
    def run(number: int) -> None:
        try:
            chance = Random(f"{seed} {number}")  # noqa: S311 - the same requests each time
            _send_some(seen, port, key, chance, good, count // CALLERS)
        except Exception as error:  # whoever ends early has not sent what was promised
            seen.break_promise(f"a caller ended: {error!r}")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send_some(seen: Seen, port: int, key: str, chance: Random, good: object, count: int) -> None:
    caller = Caller(port, key)
    for number in range(count):
        bad = bad_request(chance)
        try:
            seen.note(bad, caller.ask(bad))
        except TimeoutError:
            caller.close()
            seen.break_promise(f"nothing for {ANSWER_WITHIN_S:g} s: {bad.kind} {bad.method} {bad.target[:80]}")
        if number % LOOK_EVERY == 0 and _good(port, key) != good:
            seen.break_promise("a good application is scored otherwise than before")
    caller.close()


def _good(port: int, key: str) -> object:
    """What a good application is scored."""
    caller = Caller(port, key)
    body = json.dumps(EXAMPLE).encode()
    [answer] = caller.ask(Bad("good", "POST", "/predict", [("Content-Type", "application/json")], body))
    caller.close()
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    return [told.get(name) for name in ("probability", "tier", "points", "model_version", "warnings")]


def _workers(server: Server) -> set[int]:
    return {process.pid for process in psutil.Process(server.pid).children(recursive=True)}


def _mib(server: Server) -> float:
    """Resident memory of all workers."""
    return sum(psutil.Process(pid).memory_info().rss for pid in _workers(server)) / 2**20


def report(seen: Seen) -> str:
    """What was seen, as a table."""
    rows = [
        ("requests", f"{sum(seen.kinds.values()):,} in {seen.seconds:.0f} s"),
        *((f"… {kind}", f"{count:,}") for kind, count in seen.kinds.most_common()),
        *((f"answers {status}", f"{count:,}") for status, count in sorted(seen.statuses.items())),
        ("workers that ended", str(seen.workers_ended)),
        ("memory of the workers, warm / at the end", f"{seen.mib_before:.0f} / {seen.mib_after:.0f} MiB"),
        ("promises broken", str(len(seen.broken))),
    ]
    return "\n".join(["| what | seen |", "|---|---|", *(f"| {what} | {said} |" for what, said in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.hostile", description="Send what nobody should send.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        seen = attacked(options.count, options.seed, {})
    except ServerNotReadyError as error:
        sys.exit(f"hostile: {error}")
    print(report(seen))  # noqa: T201
    for fault, times in Counter(seen.broken).most_common(20):
        print(f"\n{times} times {fault}")  # noqa: T201
    sys.exit(1 if seen.broken else 0)


def attacked(count: int, seed: int, settings: dict[str, str]) -> Seen:
    """What is seen of a server of its own, which asks for keys."""
    with TemporaryDirectory(prefix="riskline-hostile-") as folder:
        text, key = new_key("hostile", list(SCOPES))
        write_keys(Path(folder) / "keys.json", [key])
        with running_server({**SETTINGS, "RISKLINE_KEYS": str(Path(folder) / "keys.json"), **settings}) as server:
            return attack(server, text, count, seed)


if __name__ == "__main__":
    main()
