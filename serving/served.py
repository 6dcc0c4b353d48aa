"""A model as a worker serves it: everything that depends on which model that is, in one value.

Another model takes its place by one assignment (serving/reload.py). What is under way goes on with the one that it
began with, so nothing waits and no answer is made of two.
"""

from concurrent.futures import Executor

from decisions.log import Log
from model.artifact import Artifact
from serving.cores import cores
from serving.drift import Drift
from serving.logs import DecisionLog
from serving.recording import Recorder
from serving.scorer import Scorer
from serving.settings import Settings
from serving.shadow import Shadow
from serving.turn import Turn


class Served:
    """`single` and `turn` score single applications, `bulk` scores bodies of many in `parts`; `drift` counts both,
    and `decision_log` tells of both."""

    def __init__(
        self,
        artifact: Artifact,
        settings: Settings,
        log: Log | None,
        parts: Executor,
        shadow: Shadow | None,
        drift: Drift | None,
        decision_log: DecisionLog | None,
    ) -> None:
        self.artifact = artifact
        self.drift, self.decision_log = drift, decision_log
        self.recorder = None if log is None else Recorder(log, artifact, durable=settings.record == "durable")
        offer = None if shadow is None else shadow.offer
        self.single = Scorer(artifact, against=settings.reasons_against, offer=offer)
        self.turn = Turn(self.single, self.recorder, drift, decision_log)
        self.bulk = Scorer(artifact, parts, cores(), settings.reasons_against, offer)
