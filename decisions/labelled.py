"""What can be learned from decisions: their applications, with what became of them as labels.

Outcomes exist only for those who were approved, so these rows are no fair sample of who applies. How many there are of
each tier, and where their labels come from, therefore goes with them wherever they go.
"""

import hashlib
from pathlib import Path

import numpy as np
from pydantic_core import to_json

from decisions.drain import Drain
from decisions.errors import StoreError
from decisions.places import STORE
from decisions.record import as_object, unreadable
from decisions.sqlite import SQLiteStore
from decisions.sqlite_labelled import Labelled, labelled
from model.data import Decisions
from model.policy import TIERS
from preprocessing.json_columns import read_batch

SOURCES = ("outcome", "review")


def labelled_decisions(folder: Path) -> Decisions:
    """The decisions in `folder` that have an outcome, or reviewers who agree.

    Applications that the schema of today would refuse are left out and counted. StoreError where there is no store,
    UnreadableRecord where one of them was damaged.
    """
    path = folder / STORE
    if not path.is_file():
        raise StoreError(f"there are no decisions in {folder}; name the folder that the service records them in")
    store = SQLiteStore(path)
    try:
        Drain(folder, store).run()  # what stands in the journals only
    finally:
        store.close()
    rows = list(labelled(path))
    applications = [_application(row) for row in rows]
    batch = read_batch(to_json({"applications": applications}))
    assert batch.codes is not None, "what is read from JSON comes with its codes"
    fitting = np.array([row not in batch.refused for row in range(len(rows))], dtype=np.bool_)
    codes = batch.codes[:, fitting]
    kept = [row for row, fits in zip(rows, fitting, strict=True) if fits]
    bad = np.array([row.bad for row in kept], dtype=np.bool_)
    by_tier = {
        tier: {source: sum((row.tier, row.source) == (tier, source) for row in kept) for source in SOURCES}
        for tier in TIERS
    }
    digest = hashlib.sha256(np.ascontiguousarray(codes).tobytes() + bad.tobytes()).hexdigest()
    return Decisions(
        codes, bad, {"rows": len(kept), "by_tier": by_tier, "refused": len(batch.refused), "sha256": digest}
    )


def _application(row: Labelled) -> object:
    what = f"personal part of {row.id}"
    person = as_object(row.personal, what)
    if "application" not in person:
        raise unreadable(what)
    return person["application"]
