"""Scores decisions again, each with the very artefact that made it, and compares what comes out to the last bit.

    python -m decisions.replay 01a209b3-117e-7530-8ca4-a96cd0dd9bb1
    python -m decisions.replay --since 2026-11-01
    python -m decisions.replay --all

The recorded application goes the way of every other: decode → encode → score → decide. Decisions are gathered into one
batch for each artefact, since a batch of any size gives a row the same answer.
"""

import argparse
import json
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, get_args

from msgspec import Raw, Struct
from msgspec.json import Decoder
from pydantic_core import to_json

from decisions.artifacts import load
from decisions.drain import Drain
from decisions.errors import UnknownDecision
from decisions.places import STORE, VARIABLE, existing
from decisions.record import Record, written
from decisions.sqlite_audit import AuditStore
from model.errors import ArtifactError
from model.policy import TIERS
from preprocessing.errors import RisklineError
from preprocessing.json_columns import read_batch
from serving.scorer import Scorer, Scores, ScoreWarning
from serving.settings import Against

AT_ONCE = 16_384  # decisions in a batch
_MOST_ARTIFACTS = 8  # held in memory
_PATHS: tuple[Against, ...] = get_args(Against)  # reasons may have been given in either way


class _Facts(Struct, gc=False):
    id: str
    artifact: str
    model_version: str
    policy_version: str
    probability: float
    tier: str
    points: int


class _Personal(Struct, gc=False):
    application: Raw
    warnings: Raw
    reasons: Raw


_FACTS, _PERSONAL = Decoder(_Facts), Decoder(_Personal)


class _Decision(NamedTuple):
    facts: _Facts
    personal: _Personal


class Replay:
    """Takes decisions and tells what differs, a line for each difference; `counts` says how it went."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder, self._tell = folder, tell
        self._scorers = lru_cache(_MOST_ARTIFACTS)(self._opened)
        self.counts = Counter[str]()

    def run(self, records: Iterable[Record]) -> None:
        waiting: dict[str, list[_Decision]] = {}
        for record in records:
            self.counts["decisions"] += 1
            if record.personal is None:
                self.counts["forgotten"] += 1
                continue
            try:
                decision = _Decision(_FACTS.decode(record.facts), _PERSONAL.decode(record.personal))
            except ValueError:  # somebody has edited it
                self.counts["differ"] += 1
                self._tell(
                    f"chain {record.chain}, record {record.number}: it cannot be read; "
                    "python -m decisions.verify proves the chain"
                )
                continue
            artifact = decision.facts.artifact
            batch = waiting.setdefault(artifact, [])
            batch.append(decision)
            if len(batch) == AT_ONCE:
                self._replay(artifact, waiting.pop(artifact))
        for artifact, batch in waiting.items():
            self._replay(artifact, batch)

    @property
    def is_proved(self) -> bool:
        return not (self.counts["differ"] or self.counts["without their artefact"])

    def _opened(self, artifact: str) -> dict[Against, Scorer] | None:
        """A scorer for each way of giving reasons; None where the artefact cannot be used, which is told once."""
        try:
            loaded = load(self._folder, artifact)
        except ArtifactError as error:
            self._tell(error.message)
            return None
        return {against: Scorer(loaded, against=against) for against in _PATHS}

    def _replay(self, artifact: str, batch: Sequence[_Decision]) -> None:
        scorers = self._scorers(artifact)
        if scorers is None:
            self.counts["without their artefact"] += len(batch)
            return
        body = b'{"applications":[' + b",".join([bytes(personal.application) for _, personal in batch]) + b"]}"
        encoded = read_batch(body)
        explained = [row for row, (_, personal) in enumerate(batch) if bytes(personal.reasons) != b"null"]
        scores = {
            against: scorer.score(encoded, explained)
            for against, scorer in scorers.items()
            if explained or against == _PATHS[0]
        }
        for row, decision in enumerate(batch):
            if differences := list(_differences(decision, scores, row)):
                self.counts["differ"] += 1
                self._tell(f"{decision.facts.id}: {'; '.join(differences)}")
            else:
                self.counts["bit-equal"] += 1


def _differences(decision: _Decision, each: dict[Against, Scores], row: int) -> Iterator[str]:
    facts, personal = decision
    scores = each[_PATHS[0]]
    if row in scores.refused:
        yield f"the application is refused now ({scores.refused[row].message})"
        return
    recorded = (facts.probability, facts.tier, facts.points, facts.model_version, facts.policy_version)
    now = (
        scores.probability[row], TIERS[scores.tier[row]], scores.points[row], scores.model_version,
        scores.policy_version,
    )  # fmt: skip
    if recorded != now:
        names = ("probability", "tier", "points", "model_version", "policy_version")
        for name, was, is_ in zip(names, recorded, now, strict=True):
            if was != is_:
                yield f"{name} {was} was recorded, and is {is_} now"
    if not _are_equal(bytes(personal.warnings), _warnings(scores.warnings.get(row, ()))):
        yield "other warnings were recorded"
    reasons = bytes(personal.reasons)
    if reasons != b"null" and not any(_are_equal(reasons, _reasons(scores, row)) for scores in each.values()):
        yield "other reasons were recorded"


@lru_cache(maxsize=4096)
def _warnings(warnings: tuple[ScoreWarning, ...]) -> bytes:
    return to_json(warnings)


def _reasons(scores: Scores, row: int) -> bytes:
    assert scores.reasons is not None, "asked for above: this is a bug"
    return scores.reasoning.as_json(scores.reasons[row]).encode()


def _are_equal(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts say the same; a number has more than one spelling."""
    return one == other or json.loads(one) == json.loads(other)


def _chosen(store: AuditStore, ids: Sequence[str], since: str | None) -> Iterable[Record]:
    """The decisions with these ids, else all since a time; UnknownDecision for an id that stands for none."""
    if not ids:
        return store.since(since or "")
    found = store.get(ids)
    if missing := [id_ for id_ in ids if id_ not in found]:
        raise UnknownDecision(f"there is no decision {', '.join(missing)}")
    return found.values()


def _time(text: str) -> str:
    """A day or time as records give it; without a zone it is UTC's."""
    time = datetime.fromisoformat(text)
    return written(time if time.tzinfo else time.replace(tzinfo=UTC))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m decisions.replay", description="Score decisions again, and compare."
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="of decisions")
    parser.add_argument(
        "--since", type=_time, metavar="TIME", help="all from a day or time on, such as 2026-11-01 (UTC)"
    )
    parser.add_argument("--all", action="store_true", help="all there are")
    parser.add_argument("--decisions", metavar="FOLDER", help=f"where they are (default: {VARIABLE})")
    arguments = parser.parse_args()
    if bool(arguments.ids) + bool(arguments.since) + arguments.all != 1:
        parser.error("name decisions, or --since a time, or --all")
    return arguments


def main() -> None:
    arguments = _arguments()
    started = time.perf_counter()
    try:
        folder = existing(arguments.decisions)
        store = AuditStore(folder / STORE)
        Drain(folder, store).run()
        replay = Replay(folder, print)
        replay.run(_chosen(store, arguments.ids, arguments.since))
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"riskline: the decisions cannot be read ({error})")
    kinds = ("bit-equal", "differ", "forgotten", "without their artefact")
    said = ", ".join(f"{replay.counts[kind]:,} {kind}" for kind in kinds)
    print(f"{replay.counts['decisions']:,} decisions: {said}; {time.perf_counter() - started:.1f} s")  # noqa: T201
    sys.exit(0 if replay.is_proved else 1)


if __name__ == "__main__":
    main()
