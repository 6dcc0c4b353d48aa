"""The BentoML service: routes and lifecycle, nothing else. The way of an application is in `serving/scorer.py`.

bentoml serve                     # from this folder, with the newest model of the store
bentoml serve riskline:latest     # the Bento that `bentoml build` made, from anywhere
"""

import asyncio
import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import bentoml
import click
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.context import server_context
from circus.sighandler import SysHandler
from starlette.responses import Response

from decisions.log import Limits, Log
from decisions.places import STORE, folder
from decisions.sqlite import SQLiteStore
from decisions.sqlite_shadows import SQLiteShadows
from decisions.target import prove as prove_store
from decisions.target import target
from model.artifact import open_artifact
from model.promotion import Promotions
from preprocessing.errors import RisklineError
from serving import garbage, keys, metrics
from serving.agreement import Agreement
from serving.api import Api
from serving.archiver import keep_archived
from serving.contract import (
    ApplicationInput,
    BatchInput,
    ExplanationOutput,
    ResultsOutput,
    RisklineService,
    ScoreOutput,
    fellows,
    to_response,
)
from serving.cores import cores
from serving.hosting import hosting
from serving.image import IMAGE
from serving.listener import Held, spread_connections
from serving.live import Sources
from serving.logs import log_to_stdout
from serving.messages import Request
from serving.reload import Reload
from serving.settings import settings
from serving.shadow import Shadow
from serving.telemetry import Telemetry

MOUNTED_MODEL = Path("/opt/ml/model")  # where SageMaker unpacks a model.tar.gz

try:
    SETTINGS, HOSTING = settings(), hosting()
except RisklineError as error:
    sys.exit(f"riskline: {error.message}")
WORKERS = SETTINGS.workers or cores()


# BentoML keeps the workers' counts in one place for all servers of a user and empties it at each start: a second one
# would take the counts of the first. Each server gets a place of its own; its workers find it in their environment.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="riskline-metrics-")
    atexit.register(shutil.rmtree, os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
BentoMLContainer.prometheus_multiproc_dir.set(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def fixed_model() -> str:
    """The mounted model if there is one, else the configured one; empty where the model may be promoted."""
    return str(MOUNTED_MODEL) if MOUNTED_MODEL.is_dir() and any(MOUNTED_MODEL.iterdir()) else SETTINGS.model


def reload_of(server: int) -> Reload:
    """The part of this process in what the workers of a server, by the pid of its first process, agree on."""
    agreement = Agreement(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"reload-{server}"))
    return Reload(agreement, Sources(SETTINGS, fixed_model(), Promotions()))


def host() -> str:
    """The address that `bentoml serve` is about to listen on."""
    command = click.get_current_context(silent=True)
    given: str | None = command.params.get("host") if command else None
    return given or BentoMLContainer.http.host.get()


def open_log() -> Log | None:
    """This worker's log of decisions, if they are to be recorded."""
    if SETTINGS.record == "none":
        return None
    limits = Limits(SETTINGS.max_unrecorded, int(SETTINGS.max_journal_mb * 2**20), SETTINGS.gather_ms / 1000)
    return Log(folder(SETTINGS.decisions), limits, target(SETTINGS.store, SETTINGS.expire_days))


def open_shadow() -> Shadow | None:
    """The challenger, if there is one; what it says is kept where decisions are."""
    if not SETTINGS.shadow:
        return None
    store = None if SETTINGS.record == "none" else SQLiteShadows(folder(SETTINGS.decisions) / STORE)
    return Shadow(open_artifact(SETTINGS.shadow), store)


@bentoml.service(
    name="riskline",
    service_class=RisklineService,
    image=IMAGE,
    workers=WORKERS,
    traffic={"timeout": SETTINGS.timeout_s},
    http={"host": "127.0.0.1"},  # BentoML's own default is every interface
)
class Riskline:
    """Scores applications into low, medium or high risk, with the probability and what a person should know."""

    @bentoml.on_deployment
    @staticmethod
    def prove() -> None:
        """Runs once before any worker starts: what does not verify ends start-up in one line."""
        try:
            who_may_call = keys.prove(SETTINGS.keys, host())
            reload = reload_of(os.getpid())
            reload.begin()
            Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"fellows-{os.getpid()}").unlink(missing_ok=True)
            SysHandler.handle_hup = lambda _: reload.ask()  # circus would start all workers anew
            if SETTINGS.shadow:
                open_artifact(SETTINGS.shadow)
            Telemetry.prove(SETTINGS)
            if SETTINGS.record == "none":
                print("riskline: decisions are not recorded; RISKLINE_DECISIONS names where they can be")  # noqa: T201
            else:
                store = SQLiteStore(folder(SETTINGS.decisions) / STORE)
                store.check()
                store.close()
                prove_store(SETTINGS.store)
            print(f"riskline: {who_may_call}")  # noqa: T201
        except RisklineError as error:
            sys.exit(f"riskline: {error.message}")

    def __init__(self) -> None:
        log_to_stdout()
        worker = server_context.worker_index
        self.reload = reload_of(os.getppid() if worker else os.getpid())
        if not worker:  # nobody has proved anything before
            self.reload.begin()
        artifact = self.reload.start().artifact
        metrics.show_worker(WORKERS)
        self._log, self._shadow = open_log(), open_shadow()
        counts = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        self._telemetry = Telemetry.of(SETTINGS, counts)
        self.api = Api(artifact, SETTINGS, HOSTING, self._log, self._shadow, counts, self._telemetry, fellows())
        self.reload.serves(self.api)

    @bentoml.on_startup
    async def start(self) -> None:
        tasks = (self.api.housekeeping(), self.reload.watch(), garbage.look_now_and_then())
        self._beside = [asyncio.create_task(task) for task in tasks]
        if SETTINGS.archive and SETTINGS.record != "none" and server_context.worker_index in (None, 1):
            self._beside.append(asyncio.create_task(keep_archived(SETTINGS)))
        if others := fellows():
            self._beside.append(asyncio.create_task(others.watch()))
        if worker := server_context.worker_index:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload.ask)
            # one file for each server, by the process that its workers have in common
            held = Held(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"held-{os.getppid()}"), worker)
            spread_connections(held, SETTINGS.max_connections)
        sys.setswitchinterval(0.0005)  # a bulk thread hands the interpreter back to single requests ten times sooner
        garbage.settle()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        for task in self._beside:
            task.cancel()
        if others := fellows():
            others.leave()
        self.reload.close()
        self.api.close()
        for opened in (self._shadow, self._log):
            if opened:
                opened.close()
        self._telemetry.close()

    async def __is_ready__(self) -> bool:
        """BentoML asks for /readyz; once it is asked at all, the model has proved itself."""
        return self.api.is_ready

    @bentoml.api(input_spec=ApplicationInput, output_spec=ScoreOutput)
    async def predict(self, request: Request, /) -> Response:
        """Score one application: the body is the application."""
        return to_response(await self.api.answer("/predict", request))

    @bentoml.api(input_spec=ApplicationInput, output_spec=ExplanationOutput)
    async def explain(self, request: Request, /) -> Response:
        """Score one application and say what its score consists of, and what would change it."""
        return to_response(await self.api.answer("/explain", request))

    @bentoml.api(input_spec=BatchInput, output_spec=ResultsOutput)
    async def predict_batch(self, request: Request, /) -> Response:
        """Score many applications: each gets its score or its own error, in order."""
        return to_response(await self.api.answer("/predict_batch", request))
