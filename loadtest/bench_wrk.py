"""One run of wrk: a server loaded for some seconds, the figures, and how busy the generator itself was."""

import json
import re
import resource
import subprocess
import time
from dataclasses import dataclass

import psutil

from loadtest.bench_bodies import Requests
from loadtest.bench_environments import last_words
from loadtest.server import ROOT, Server

SCRIPT = ROOT / "loadtest" / "wrk" / "bodies.lua"
ANSWER_WITHIN_S = 30  # wrk's own limit; it counts a later answer as an error
SPARE_S = 60  # over the run's length: loading bodies, the last answers


class RunError(RuntimeError):
    """A run that measured nothing or nothing valid; the message is one sentence for the results."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. CPU figures are in cores: 1.0 is one core busy throughout."""

    req_per_s: float
    p50_ms: float
    p99_ms: float
    generator_cpu: float
    server_cpu: float


def load(wrk: str, server: Server, requests: Requests, connections: int, seconds: int) -> Sample:
    """Loads the server; RunError unless every answer was 2xx and none was lost."""
    length = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{ANSWER_WITHIN_S}s"]
    bodies = [requests.content_type, "lines" if requests.lines else "whole", *map(str, requests.files)]
    command = [wrk, *length, "-s", str(SCRIPT), server.url + requests.path, "--", *bodies]
    served, spent, started = _cpu_of(server.pid), _cpu_of_children(), time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603 - the command is our own
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + SPARE_S
        )
    except subprocess.TimeoutExpired:
        raise RunError("wrk did not end in time") from None
    took = time.perf_counter() - started
    if done.returncode:
        raise RunError(f"wrk ended with code {done.returncode}: {last_words(done.stderr or done.stdout)}")
    return parse(done.stdout, (_cpu_of_children() - spent) / took, (_cpu_of(server.pid) - served) / took)


def parse(output: str, generator_cpu: float, server_cpu: float) -> Sample:
    """The sample in what bodies.lua printed at the end; RunError for a run with any answer that was not 2xx."""
    found = re.search(r"^figures (\{.*\})$", output, re.MULTILINE)
    if not found:
        raise RunError(f"wrk gave no figures: {last_words(output)}")
    figures = json.loads(found[1])
    if figures["not_2xx"] or figures["socket_errors"]:
        raise RunError(
            f"{figures['not_2xx']} of {figures['requests']} answers were not 2xx, "
            f"{figures['socket_errors']} connections failed or timed out"
        )
    if not figures["requests"]:
        raise RunError("not one answer in time")
    req_per_s = figures["requests"] / figures["seconds"]
    return Sample(req_per_s, figures["p50_ms"], figures["p99_ms"], generator_cpu, server_cpu)


def _cpu_of_children() -> float:
    """CPU seconds of the programs that have ended; servers end later, so between two calls it is wrk alone."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cpu_of(pid: int) -> float:
    """CPU seconds of a server and all its workers."""
    try:
        server = psutil.Process(pid)
        return sum(_cpu(process) for process in [server, *server.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0.0


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
