"""Between the scorer and the log: what was decided as the log takes it, and what stood already as an answer."""

import re
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

from decisions.artifacts import keep
from decisions.log import Earlier, Log
from decisions.record import CHANNELS, FACTS, PERSONAL, Channel, Decided, Kept, Origin, Versions, as_object, unreadable
from model.artifact import Artifact
from model.policy import TIERS
from preprocessing.encode import Batch
from preprocessing.errors import RisklineError
from serving import metrics
from serving.answers import warnings_json
from serving.errors import InvalidHeader
from serving.reasons import Reason
from serving.scorer import Score, Scores, ScoreWarning

CHANNEL, IDEMPOTENCY_KEY = b"x-channel", b"idempotency-key"
_ID = re.compile(rb"[!#-\[\]-~]{1,64}")  # goes into JSON as it is
_CHANNELS: dict[bytes, Channel] = {channel.encode(): channel for channel in CHANNELS}


def channel_of(headers: Mapping[bytes, bytes]) -> Channel:
    """The channel that a request names, or `api`; InvalidHeader for one that does not exist."""
    if (sent := headers.get(CHANNEL)) is None:
        return "api"
    if (channel := _CHANNELS.get(sent)) is None:
        raise InvalidHeader(f"X-Channel must be one of {', '.join(CHANNELS)}")
    return channel


def counted_channel(headers: Mapping[bytes, bytes]) -> Channel:
    """The channel that a request is counted under: `api` also where it names one that does not exist."""
    return _CHANNELS.get(headers.get(CHANNEL, b""), "api")


def idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    """What the caller wants the decision to be called, so that asking again gives the same one."""
    sent = headers.get(IDEMPOTENCY_KEY)
    return None if sent is None else callers_id(IDEMPOTENCY_KEY, sent.strip(b'"'))  # as a string it comes in quotes


def callers_id(header: bytes, sent: bytes) -> str:
    """An id that a caller chose; InvalidHeader where it cannot be one."""
    if not _ID.fullmatch(sent):
        raise InvalidHeader(
            f"{header.decode()} must be 1 to 64 visible ASCII characters without spaces, quotes and backslashes"
        )
    return sent.decode()


class Recorder:
    """Has the decisions of one model recorded, and keeps it beside them. Without `durable` nobody waits until they are
    on disk."""

    def __init__(self, log: Log, artifact: Artifact, durable: bool) -> None:
        self._log, self._versions, self._durable = log, Versions.of(artifact), durable
        self._policy = artifact.policy
        keep(log.folder, artifact)

    def wait_for_room(self) -> None:
        """For who brings many decisions, before more of them: waits while the store is far behind."""
        self._log.wait_for_room()

    def record(self, scores: Scores, batch: Batch, origins: Sequence[Origin]) -> "Future[Scores]":
        """The scores as they may be answered, once they may; NotRecorded where they may not.

        What stands already under a caller's id takes the place of its row.
        """
        recorded: Future[Scores] = Future()
        recorded.set_running_or_notify_cancel()  # who no longer waits cannot cancel it
        if len(scores.refused) == len(scores):
            recorded.set_result(scores)
            return recorded
        assert batch.codes is not None, "what is served is read with its codes"
        decided = Decided(
            scores.decision_id,
            batch.codes,
            scores.probability,
            scores.tier,
            scores.points,
            self._policy.to_review(scores.probability, scores.tier, self._outside(scores), batch.unsure.keys()),
            {row: warnings_json(warnings) for row, warnings in scores.warnings.items()},
            {row: scores.reasoning.as_json(ranked) for row, ranked in (scores.reasons or {}).items()},
            scores.refused,
            scores.named,
            origins,
            self._versions,
        )
        started = time.perf_counter()

        def done(outcome: Earlier | Exception) -> None:
            if isinstance(outcome, Exception):
                recorded.set_exception(outcome)
                return
            spent = time.perf_counter() - started
            metrics.count_recorded(spent)
            try:
                given = replace(_given_back(scores, outcome), seconds={**scores.seconds, "record": spent})
            except Exception as error:  # a record that another version wrote, say: whoever waits must hear of it
                recorded.set_exception(error)
            else:
                recorded.set_result(given)

        if self._durable or scores.named:
            self._log.submit(decided, done)
        else:
            self._log.submit(decided, lambda _: None)
            recorded.set_result(scores)
        return recorded

    def _outside(self, scores: Scores) -> Collection[int]:
        """The rows with a value outside the training range, where the policy wants to know."""
        if not self._policy.review.outside_training_range:
            return ()
        return [
            row
            for row, warnings in scores.warnings.items()
            if any(warning.code == "outside_training_range" for warning in warnings)
        ]


def _given_back(scores: Scores, earlier: Earlier) -> Scores:
    """The scores with what stood already in its rows."""
    if not earlier:
        return scores
    stood: dict[int, Score] = {}
    errors: dict[int, RisklineError] = {}
    for row, before in earlier.items():
        try:
            if isinstance(before, RisklineError):
                raise before
            stood[row] = _score(before)
        except RisklineError as error:
            errors[row] = error
    probability, tier, points = [*scores.probability], [*scores.tier], [*scores.points]
    for row, score in stood.items():
        probability[row], tier[row], points[row] = score.probability, TIERS.index(score.tier), score.points
    return replace(
        scores,
        probability=probability,
        tier=tier,
        points=points,
        warnings={
            **{row: warnings for row, warnings in scores.warnings.items() if row not in stood},
            **{row: score.warnings for row, score in stood.items() if score.warnings},
        },
        stood=stood,
        refused={**scores.refused, **errors},
    )


def _score(kept: Kept) -> Score:
    """A recorded decision as it was answered; UnreadableRecord where it does not say that."""
    assert kept.personal is not None, "one that is forgotten is an error"
    facts, personal = as_object(kept.facts, FACTS), as_object(kept.personal, PERSONAL)
    try:
        TIERS.index(facts["tier"])
        return Score(
            facts["probability"],
            facts["tier"],
            facts["points"],
            facts["model_version"],
            facts["policy_version"],
            facts["id"],
            tuple(ScoreWarning(**warning) for warning in personal["warnings"]),
            personal["reasons"] and tuple(Reason(**reason) for reason in personal["reasons"]),
        )
    except (KeyError, TypeError, ValueError):
        raise unreadable("decision") from None
