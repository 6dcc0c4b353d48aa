"""Servers side by side: all started once, each checked by one request, then loaded in turn, round by round.

What cannot be measured becomes a reason, a sentence for the results; nothing here stops the rest.
"""

import http.client
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from loadtest import bench_bodies, bench_wrk
from loadtest.bench_bodies import Requests
from loadtest.bench_environments import FOLDERS, Models, PreparationError, home, last_words
from loadtest.bench_plan import WORKLOADS, Contender, Dialect, Effort
from loadtest.bench_wrk import RunError, Sample
from loadtest.server import ROOT, Server, ServerNotReadyError, running_server

BULK_ANSWER_WITHIN_S = 120

Key = tuple[str, str]  # contender, workload


@dataclass(frozen=True, slots=True)
class Setup:
    """What every measurement needs. `step` is told each step as it starts."""

    wrk: str
    models: Models
    requests: Mapping[tuple[Dialect, str], Requests]
    effort: Effort
    step: Callable[[str], None]


@dataclass(slots=True)
class Measured:
    """The samples of what was measured, and the reasons for what was not."""

    samples: dict[Key, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    reasons: dict[Key, str] = field(default_factory=dict)


def start_all(
    stack: ExitStack,
    wanted: Mapping[Contender, Sequence[str]],
    prepare: Callable[[Contender], Path],
    setup: Setup,
    measured: Measured,
) -> dict[str, Server]:
    """Starts the servers, which `stack` ends, and checks an answer of each to each of its `wanted` workloads.

    `prepare` gives a contender's interpreter or raises PreparationError. An idle server costs memory, but no time.
    """
    servers: dict[str, Server] = {}
    for contender, workloads in wanted.items():
        setup.step(f"starting {contender.name}")
        try:
            server = stack.enter_context(_server(contender, prepare(contender), setup.models))
        except (PreparationError, ServerNotReadyError) as error:
            measured.reasons.update({(contender.name, name): _reason(error) for name in workloads})
            continue
        servers[contender.name] = server
        for name in workloads:
            requests = setup.requests[contender.dialect, name]
            if wrong := bench_bodies.wrong_with(server.url, requests, contender.same_graph):
                measured.reasons[contender.name, name] = wrong
    return servers


def run_rounds(
    servers: Mapping[str, Server], wanted: Mapping[Contender, Sequence[str]], setup: Setup, measured: Measured
) -> None:
    """Every round measures each workload with each contender once, so that drift of the machine hits all alike."""
    effort = setup.effort
    for number in range(effort.rounds):
        for workload in WORKLOADS:
            for contender in _in_turn(list(wanted), number):
                key = contender.name, workload.name
                if workload.name not in wanted[contender] or key in measured.reasons:
                    continue
                setup.step(f"round {number + 1} of {effort.rounds}: {workload.name}, {contender.name}")
                server, requests = servers[contender.name], setup.requests[contender.dialect, workload.name]
                try:
                    if effort.warm_up_s:
                        bench_wrk.load(setup.wrk, server, requests, workload.connections, effort.warm_up_s)
                    sample = bench_wrk.load(setup.wrk, server, requests, workload.connections, effort.seconds)
                except RunError as error:
                    measured.reasons[key] = str(error)
                else:
                    measured.samples[key].append(sample)


def under_bulk(setup: Setup, server: Server, requests: Requests, bulk: bytes, content_type: str) -> Sample:
    """Single applications while one other client sends one very large body after the other; RunError if it fails."""
    over = threading.Event()
    failures = _bulk_failure(server, bulk, content_type)

    def send() -> None:
        while not over.is_set() and not failures:
            failures.extend(_bulk_failure(server, bulk, content_type))

    if failures:
        raise RunError(failures[0])
    client = threading.Thread(target=send)
    client.start()
    try:
        sample = bench_wrk.load(setup.wrk, server, requests, connections=8, seconds=setup.effort.bulk_s)
    finally:
        over.set()
        client.join()
    if failures:
        raise RunError(failures[0])
    return sample


def _server(contender: Contender, python: Path, models: Models) -> AbstractContextManager[Server]:
    words = {
        "python": str(python),
        "bin": str(python.parent),
        "model": str(models.artefact),
        "pipeline": str(models.pipeline),
        "booster": str(models.booster),
    }
    return running_server(
        {**home(), **{key: value.format(**words) for key, value in contender.environment.items()}},
        cwd=FOLDERS / contender.folder if contender.folder else ROOT,
        command=[word.format(**words) for word in contender.command],
        ready_path=contender.ready_path,
    )


def _bulk_failure(server: Server, bulk: bytes, content_type: str) -> list[str]:
    try:
        status, _, _ = bench_bodies.post(server.url, "/predict_batch", content_type, bulk, BULK_ANSWER_WITHIN_S)
    except (OSError, http.client.HTTPException) as error:
        return [f"a very large body got no answer ({type(error).__name__})"]
    return [] if status == 200 else [f"a very large body got status {status}"]


def _in_turn(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Another contender first in each round, so that nobody always follows the same neighbour."""
    shift = number % len(contenders) if contenders else 0
    return [*contenders[shift:], *contenders[:shift]]


def _reason(error: Exception) -> str:
    """A server's error ends with its log, whose last line is where it said why."""
    first, _, log = str(error).partition("\n")
    return f"{first}: {last_words(log)}" if log.strip() else first
