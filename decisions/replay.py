"""Scores decisions again, each with the very artefact that made it, and compares what comes out to the last bit.

    python -m decisions.replay 01a209b3-117e-7530-8ca4-a96cd0dd9bb1
    python -m decisions.replay --since 2026-11-01
    python -m decisions.replay --all

Decisions are gathered into one batch for each artefact; serving/replay.py scores it.
"""

import argparse
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from decisions.drain import Drain
from decisions.errors import UnknownDecision
from decisions.places import STORE, VARIABLE, existing
from decisions.record import Record, written
from decisions.sqlite_audit import AuditStore
from model.errors import ArtifactError
from preprocessing.errors import RisklineError
from serving.replay import Again, Recorded, Replays

AT_ONCE = 16_384  # decisions in a batch
_MOST_ARTIFACTS = 8  # held in memory


class Replay:
    """Takes decisions and tells what differs, a line for each difference; `counts` says how it went."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._tell, self._replays = tell, Replays(folder, _MOST_ARTIFACTS)
        self._unusable: set[str] = set()  # artefacts that were told of
        self.counts = Counter[str]()

    def run(self, records: Iterable[Record]) -> None:
        waiting: dict[str, list[Recorded]] = {}
        for record in records:
            self.counts["decisions"] += 1
            try:
                decision = Recorded.of(record)
            except ValueError:  # somebody has edited it
                self.counts["differ"] += 1
                self._tell(
                    f"chain {record.chain}, record {record.number}: it cannot be read; "
                    "python -m decisions.verify proves the chain"
                )
                continue
            if decision is None:
                self.counts["forgotten"] += 1
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

    def _replay(self, artifact: str, batch: Sequence[Recorded]) -> None:
        found = self._scored(artifact, batch)
        if found is None:
            self.counts["without their artefact"] += len(batch)
            return
        for decision, again in zip(batch, found, strict=True):
            if again.differences:
                self.counts["differ"] += 1
                self._tell(f"{decision.facts.id}: {'; '.join(again.differences)}")
            else:
                self.counts["bit-equal"] += 1

    def _scored(self, artifact: str, batch: Sequence[Recorded]) -> list[Again] | None:
        """None where the artefact cannot be used, which is told once."""
        if artifact in self._unusable:
            return None
        try:
            return self._replays.score(artifact, batch)
        except ArtifactError as error:
            self._tell(error.message)
            self._unusable.add(artifact)
            return None


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
