"""The embedded store as training reads it: applications with what became of them, or with what reviewers agreed on."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from decisions.sqlite import BUSY_S
from model.policy import Tier

_ROWS_AT_ONCE = 10_000
# The newest outcome is what became of it: the newest day, and of one day what was told last
_STATEMENT = """
SELECT
    id,
    tier,
    personal,
    (SELECT outcome FROM outcomes WHERE outcomes.id = decisions.id ORDER BY date DESC, n DESC LIMIT 1) AS newest,
    state
FROM decisions
WHERE personal IS NOT NULL AND (newest IS NOT NULL OR state IN ('approved', 'declined'))
ORDER BY n
"""

# With max(), SQLite takes the other columns from the row that has it: here the decision's newest outcome
_BECAME = """
SELECT json_extract(decisions.facts, '$.probability'), told.outcome = 'bad', max(told.date || printf('%020d', told.n))
FROM (SELECT id, outcome, date, n FROM outcomes ORDER BY n DESC LIMIT ?) AS told
JOIN decisions ON decisions.id = told.id
WHERE decisions.model_version = ? AND json_valid(decisions.facts)
GROUP BY told.id
"""


class Labelled(NamedTuple):
    """A decision with a label: `source` says whether it is what became of it, or what its reviewers would do."""

    id: str
    tier: Tier
    personal: str
    bad: bool
    source: Literal["outcome", "review"]


def labelled(path: Path) -> Iterator[Labelled]:
    """Those of the store's decisions that something can be learned from, in the order in which they came to it.

    An outcome goes before a review. Reviewers who differ, and people who asked to be forgotten, teach nothing.
    """
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        found = connection.execute(_STATEMENT)
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            for id_, tier, personal, outcome, state in rows:
                if outcome is not None:
                    yield Labelled(id_, tier, personal, outcome == "bad", "outcome")
                else:
                    yield Labelled(id_, tier, personal, state == "declined", "review")
    finally:
        connection.close()


def became(path: Path, model_version: str, most: int) -> tuple[list[float], list[bool]]:
    """The probabilities of that model's decisions whose outcome is known, and whether they went bad, out of the `most`
    outcomes told last. sqlite3.Error where the store cannot be read."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=BUSY_S, isolation_level=None, uri=True)
    try:
        rows = connection.execute(_BECAME, (most, model_version)).fetchall()
    finally:
        connection.close()
    return [probability for probability, _, _ in rows], [bool(bad) for _, bad, _ in rows]
