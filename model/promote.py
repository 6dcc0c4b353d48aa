"""Changes the model that the running service uses, without a restart and without losing a request.

    python -m model.promote riskline:1f0c4a9e2b7d    # a tag, a folder or an archive
    python -m model.promote --back                   # the model before

It returns when every worker of this machine answers with that model. A model that does not verify, here or in any
worker, is refused, and the one before goes on. Whether it is better is for `python -m model.compare` to say, before.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from model.artifact import open_artifact
from model.errors import PromotionError
from model.promotion import NEWEST, Note, Promotions
from model.storage import STORE_NAME, in_store
from preprocessing.errors import RisklineError

WITHIN_S = 60.0
POLL_S = 0.05


def promote(promotions: Promotions, reference: str | None, within_s: float = WITHIN_S) -> str:
    """Has `reference` served, or without one the model before; gives a sentence that says how far that went.

    Raises ArtifactError for a model that does not verify, PromotionError where there is none before, where the service
    has a fixed one, where a worker refuses it (the model before is then served again) or is not ready `within_s`.
    """
    with promotions.alone():
        workers = promotions.workers()
        if workers and all(worker.fixed for worker in workers):
            raise PromotionError(
                f"the service that runs here serves {workers[0].fixed} and no other: a model that is mounted or named "
                "by RISKLINE_MODEL is changed there, with a restart"
            )
        before = list(promotions.models())
        served = before or _served(workers)
        if reference is None:
            if len(before) < 2:
                raise PromotionError("there is no model before to go back to")
            after = before[:-1]
            open_artifact(after[-1])
        else:
            tag = in_store(open_artifact(reference).files)
            after = served if served[-1:] == [tag] else [*served, tag]
        stamp = promotions.promote(after)
        try:
            count = _wait(promotions, after[-1], stamp, within_s)
        except _Refused as refused:
            promotions.promote(served)
            raise PromotionError(f"{refused}; the model before goes on") from None
        return (
            f"{after[-1]} is served by {count} worker{'' if count == 1 else 's'}"
            if count
            else (f"{after[-1]} is promoted; no service runs here, the next one to start serves it")
        )


class _Refused(Exception):
    """A worker does not take the model."""


def _served(workers: Sequence[Note]) -> list[str]:
    """What is served where nothing was promoted yet: the newest model when the workers started."""
    running = [worker.tag for worker in workers if worker.tag and not worker.fixed]
    if running:
        return running[:1]
    try:
        return [f"{STORE_NAME}:{open_artifact(NEWEST).version}"]
    except RisklineError:  # an empty store
        return []


def _wait(promotions: Promotions, tag: str, stamp: str, within_s: float) -> int:
    """Until every worker serves the model; how many there are."""
    deadline = time.monotonic() + within_s
    while True:
        workers = [worker for worker in promotions.workers() if not worker.fixed]
        for worker in workers:
            if worker.refused and worker.stamp == stamp:
                raise _Refused(f"worker {worker.pid} refuses it: {worker.refused}")
        waiting = [worker for worker in workers if worker.tag != tag]
        if not waiting:
            return len(workers)
        if time.monotonic() > deadline:
            pids = ", ".join(str(worker.pid) for worker in waiting)
            raise PromotionError(f"after {within_s:g} s these workers do not serve {tag} yet: {pids}")
        time.sleep(POLL_S)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m model.promote", description="Change the model that the running service uses."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("model", nargs="?", help="folder, archive or tag of the store")
    what.add_argument("--back", action="store_true", help="go back to the model before")
    parser.add_argument(
        "--within", type=float, default=WITHIN_S, metavar="SECONDS", help="wait so long for the workers"
    )
    arguments = parser.parse_args()
    try:
        print(promote(Promotions(), None if arguments.back else arguments.model, arguments.within))  # noqa: T201
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")


if __name__ == "__main__":
    main()
