"""The offline spine on Ray Data: files are scored by many processes, on this machine or on those of a cluster.

    parts → Ray Data → Worker: the artefact once, then file after file (serving/offline.py) → counts

The unit of work is a file: a worker that dies leaves nothing half under its name, and another does the file anew.
Workers are given all they need, the artefact too; only the code and the files have to be where they are.
"""

import json
import logging
import os
import re
import secrets
import socket
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from model.artifact import verify
from model.errors import ScoringError
from model.places import Part, Place, no_storage_errors, partial, partials, remove_partials
from preprocessing.errors import RisklineError
from serving.cores import cores
from serving.offline import Run, Told
from serving.scorer import Scorer
from serving.settings import Against

ANSWERS_WITHIN_S = 10
# gRPC is HTTP/2, where a client says this first, and either side then begins with a frame of settings
HTTP2, SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
DEATHS = 3  # of workers, before a file is taken for their cause; Ray itself would go on for ever
OBJECT_STORE_BYTES = 128 * 2**20  # of Ray on this machine: the artefact and a few words for each file
# set before Ray is imported, which reads them then
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
# of Ray on this machine: the second is how it is told, on Linux too, to listen to nobody else; by itself it would have
# its workers give way to every other process
ALONE = {"RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
# a cluster has answered by then; without this Ray tries for ten minutes what does not get through
IMPATIENT = {"RAY_gcs_server_port_wait_time_s": "1"}


@dataclass(frozen=True, slots=True)
class Task:
    """What every worker is given. `mark` is a file that it must see if it is to write where the others do."""

    artifact: Mapping[str, bytes]
    against: Against
    keep: Sequence[str]
    explain: bool
    threads: int
    parts: Sequence[Part]
    target: Place
    mark: Place | None = None


class Worker:
    """A process of Ray that scores one file after the other, with an artefact that it has verified itself."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._run: Run | None = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """`part` → what is counted in it, and in words what is wrong with it or with this machine, if anything is."""
        counts: Counter[str] = Counter()
        error = bug = ""
        try:
            counts = self._score(self._task.parts[int(row["part"])])
        except RisklineError as wrong:
            error = wrong.message
        except Exception:  # raised again where the command runs; Ray would only say that there was one
            bug = traceback.format_exc()
        return {"part": int(row["part"]), "counts": json.dumps(counts), "error": error, "bug": bug}

    def _score(self, part: Part) -> Counter[str]:
        if self._run is None:
            self._run = self._begin()
        _check_seen(part.source, part.size, part.source)
        if _is_another() and len(list(partials(part.refusals))) >= DEATHS:
            raise ScoringError(f"{part.source}: {DEATHS} workers have died of it, perhaps for want of memory")
        return self._run.complete(part, lambda rows, size: None)  # noqa: ARG005 - it is told when the file is done

    def _begin(self) -> Run:
        """Not in the constructor: whose errors are Ray's, which would try it again for ever."""
        if self._task.mark:
            _check_seen(self._task.mark, 0, self._task.target)
        threads = self._task.threads
        scorer = Scorer(verify(self._task.artifact, f"the model on {socket.gethostname()}"), against=self._task.against)
        pools = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(threads, "score")
        return Run(scorer, self._task.keep, self._task.explain, *pools, most_waiting=2 * threads)


def _check_seen(place: Place, size: int, named: Place) -> None:
    """ScoringError, which says that `named` is another one here, unless this machine has a file of that size there."""
    if place.files.type_name == "local":
        with no_storage_errors(f"{named} cannot be read on {socket.gethostname()}"):
            info = place.files.get_file_info(place.path)
        if not info.is_file or info.size != size:
            raise ScoringError(
                f"{named} is not the same on {socket.gethostname()}: the machines of a cluster need folders that all "
                "of them share, or s3:// addresses"
            )


def run(task: Task, address: str | None, workers: int | None, told: Told) -> Counter[str]:
    """Scores what is not finished yet, in `workers` processes, or as many as there are cores for.

    `address` is a running cluster's; without one, Ray runs on this machine until all is done. One bad file costs the
    others nothing: ScoringError names the first one when the rest is done, or says why there could be no rest.
    """
    if address:
        _check_reachable(address)
    ray = _import(address)
    # Ray prints what befalls workers, who are replaced, in the middle of what this program prints
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            _start(ray, address, (workers or max(1, cores() // task.threads)) * task.threads)
            return _gather(task.parts, _results(ray, replace(task, mark=_marked(task)), workers), told)
        finally:
            ray.shutdown()
            remove_partials(task.target, task.parts)


def _import(address: str | None) -> Any:
    chosen = IMPATIENT if address else {**ALONE, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    for name, value in {**QUIET, **chosen}.items():
        os.environ.setdefault(name, value)
    try:
        import ray.data
        import ray.exceptions
    except ImportError as error:
        missing = f"this needs the extra ray ({error}): pip install --require-hashes -r requirements/ray.txt"
        raise ScoringError(missing) from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.CRITICAL)  # it stays in Ray's own log; here what is wrong is said in one line
    return ray


def _start(ray: Any, address: str | None, cpus: int) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        where = {"address": "local", "num_cpus": cpus, "object_store_memory": OBJECT_STORE_BYTES}
        quiet["include_dashboard"] = False
    else:
        where = {"address": address}
    try:
        with _silent():
            ray.init(**where, **quiet)
    except Exception as error:  # Ray has no common error, and tells it in many lines
        place = f"the cluster ({address}) does not take this program" if address else "Ray does not start"
        raise ScoringError(f"{place}: {_in_a_line(error)}") from None


def _is_another() -> bool:
    """Whether this process stands in for one that has died."""
    import ray

    return bool(ray.is_initialized() and ray.get_runtime_context().was_current_actor_reconstructed)


@contextmanager
def _silent() -> Iterator[None]:
    """Without what Ray's compiled part writes to stderr, which level it logs at for one: what is wrong, it raises."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes where nobody answers, or for ever where somebody else does."""
    if address == "auto":  # whatever runs on this machine, which Ray finds
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ScoringError(
            f"{address} is no address of a cluster; give host:port of its head, 6379 as a rule, on one of its machines"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN_S) as connection:
            connection.sendall(HTTP2 + SETTINGS)
            answer = connection.recv(len(SETTINGS))
    except (OSError, OverflowError) as error:
        raise ScoringError(f"no cluster answers at {address}: {error}") from None
    if answer[3:4] != SETTINGS[3:4] and os.environ.get("RAY_USE_TLS") != "1":
        raise ScoringError(f"what answers at {address} is no head of a Ray cluster")


def _marked(task: Task) -> Place | None:
    """An empty file where the scores go, if that is on a disk: whoever does not see it would write elsewhere."""
    if task.target.files.type_name != "local":
        return None
    first = task.parts[0].scores
    mark = partial(first)  # removed with whatever else is left at the end
    with no_storage_errors(f"{task.target} cannot be written to"):
        first.files.create_dir(str(PurePosixPath(first.path).parent), recursive=True)
        mark.files.open_output_stream(mark.path).close()
    return mark


def _results(ray: Any, task: Task, workers: int | None) -> Iterator[Mapping[str, Any]]:
    """What workers say of each file, as it is finished; large files first, so that none is left for the end."""
    order = sorted(range(len(task.parts)), key=lambda number: -task.parts[number].size)
    fitting = max(1, int(ray.cluster_resources().get("CPU", 0)) // task.threads)
    pool = ray.data.ActorPoolStrategy(size=min(workers or fitting, len(order)), max_tasks_in_flight_per_actor=1)
    files = ray.data.from_items([{"part": number} for number in order], override_num_blocks=len(order))
    try:
        yield from files.map(Worker, fn_constructor_args=[task], compute=pool, num_cpus=task.threads).iter_rows()
    except ray.exceptions.RayError as error:
        raise ScoringError(f"Ray cannot go on: {_in_a_line(error)}; the same command does what is left") from None


def _gather(parts: Sequence[Part], results: Iterator[Mapping[str, Any]], told: Told) -> Counter[str]:
    counts: Counter[str] = Counter()
    wrong: dict[int, str] = {}
    for result in results:
        number = int(result["part"])
        if result["bug"]:
            raise RuntimeError(
                f"{parts[number].source}: a worker ended with what follows: this is a bug\n{result['bug']}"
            )
        if result["error"]:
            wrong[number] = str(result["error"])
        else:
            more = Counter(json.loads(result["counts"]))
            counts.update(more)
            told(more["rows"] - more["earlier rows"], parts[number].size)
    if wrong:
        raise ScoringError(_said(wrong))
    return counts


def _said(wrong: Mapping[int, str]) -> str:
    """In one line: what is wrong with the first, and of how many others something is."""
    others = len(wrong) - 1
    more = f" (and {others} other{'s' if others > 1 else ''} of the files cannot be scored)" if others else ""
    return wrong[min(wrong)] + more


def _in_a_line(error: Exception) -> str:
    """Where Ray tells of another process's traceback, what that ended with; else what it says first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if re.match(r"\w+Error: ", lines[-1]) else lines[0]
