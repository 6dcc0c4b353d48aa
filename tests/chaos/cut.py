"""Records decisions and copies them to DynamoDB while the network between is cut; for a network namespace of its own.

python -m tests.chaos.cut MODEL FOLDER

Prints how many were recorded and copied, as JSON.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from decisions.dynamodb import DynamoStore
from decisions.log import Log
from model.artifact import open_artifact
from tests.decisions.conftest import TABLE, items, make_table
from tests.decisions.decided import decided, random_applications, recorded
from tests.lab.dynamodb import NOBODY, Dynalite
from tests.lab.waiting import until

BATCHES = 20


def network(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def main() -> None:
    os.environ.update(NOBODY)
    artifact, folder = open_artifact(sys.argv[1]), Path(sys.argv[2])
    dynalite = Dynalite(folder / "dynalite")
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = dynalite.url
    make_table(dynalite, TABLE, "id")
    log = Log(folder / "decisions", None, DynamoStore(TABLE, 0))
    ids: list[str] = []

    def record() -> None:
        for _ in range(BATCHES):
            batch = decided(artifact, random_applications(5, len(ids)))
            recorded(log, batch)
            ids.extend(batch.ids)

    record()
    until(lambda: set(items(dynalite)) == set(ids))
    network("down")
    record()
    until(lambda: log.state().behind_s > 2)
    network("up")
    healed = time.monotonic()
    record()
    until(lambda: set(items(dynalite)) == set(ids), 90)
    after = time.monotonic() - healed
    log.close()
    copied = len(items(dynalite))
    dynalite.kill()
    figures = {"recorded": len(ids), "recorded_while_cut": BATCHES * 5, "copied": copied, "healed_after_s": after}
    print(json.dumps(figures))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
