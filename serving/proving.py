"""What a decision is shown with where somebody asks: whether it can be proved, and what its application is given now.

    GET /decisions/{id}?proof=true&replay=true

Loading an artefact takes up to a hundred milliseconds, and memory, so a worker keeps those that it used last.
"""

import logging
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from decisions.artifacts import is_kept
from decisions.record import Record
from model.errors import ArtifactError
from model.policy import Tier
from serving.replay import Recorded, Replays

log = logging.getLogger("riskline")

_MOST_ARTIFACTS = 2
_Switch = Literal["true", "false"]
_EQUAL = "Scored again by the artefact that made it, the answer is the same to the last bit"
_ERASED = "The application was erased, so it cannot be scored again"
_UNREADABLE = "What was recorded cannot be read any more, so somebody has edited it"
_NOT_KEPT = "The artefact that made it is not kept here any more, so it cannot be scored again"
_UNUSABLE = "The artefact that made it cannot be used by this version of the service, whose log says why"


class More(BaseModel):
    """What a decision can be shown with."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    proof: Annotated[_Switch, Field(description="`true` adds whether the record can be proved.")] = "false"
    replay: Annotated[
        _Switch, Field(description="`true` has the application scored again by the artefact that made the decision.")
    ] = "false"


class Replayed(BaseModel):
    """What came out when the application was scored again; without probability, tier and points where nothing did."""

    equal: Annotated[bool | None, Field(description="To the last bit; null where it could not be scored again.")]
    says: Annotated[str, Field(description="The same in a sentence, with what differs.")]
    probability: float | None = None
    tier: Tier | None = None
    points: int | None = None


class Replaying:
    """Scores single decisions again; `folder` is that of decisions. For threads, not for the event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._replays = folder, Replays(folder, _MOST_ARTIFACTS)

    def replayed(self, record: Record) -> Replayed:
        try:
            recorded = Recorded.of(record)
        except ValueError:
            return Replayed(equal=False, says=_UNREADABLE)
        if recorded is None:
            return Replayed(equal=None, says=_ERASED)
        artifact = recorded.facts.artifact
        if not is_kept(self._folder, artifact):
            return Replayed(equal=None, says=_NOT_KEPT)
        try:
            [again] = self._replays.score(artifact, [recorded])
        except ArtifactError as error:
            log.warning("the decision %s cannot be scored again: %s", recorded.facts.id, error.message)
            return Replayed(equal=None, says=_UNUSABLE)
        says = "; ".join(again.differences)
        now = {} if again.score is None else again.score._asdict()
        return Replayed(equal=not says, says=says[:1].upper() + says[1:] if says else _EQUAL, **now)
