"""The embedded store's rows of what a challenger would have decided; only ever added.

It has a connection of its own, so that nobody who decides waits for it in this process.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from decisions.sqlite import BUSY_S

_COLUMNS = "id, model_version, policy_version, probability, tier, time"


class Shadowed(NamedTuple):
    """What a challenger says of the application behind a decision; `time` is RFC 3339 in UTC."""

    id: str
    model_version: str
    policy_version: str
    probability: float
    tier: str
    time: str


class SQLiteShadows:
    """Opens a file that SQLiteStore has made. sqlite3.Error where it is away."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = NORMAL")  # a power failure may take the newest: it is a study

    def add(self, shadowed: Iterable[Shadowed]) -> None:
        """Keeps these in one transaction. The first answer of a challenger to an application stands."""
        with self._connection:
            self._connection.executemany(
                f"INSERT INTO shadows ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",  # noqa: S608 - nothing but names
                shadowed,
            )

    def of(self, id_: str) -> Sequence[Shadowed]:
        """What every challenger has said of one decision's application, older ones first."""
        statement = f"SELECT {_COLUMNS} FROM shadows WHERE id = ? ORDER BY time"  # noqa: S608 - nothing but names
        return [Shadowed(*row) for row in self._connection.execute(statement, (id_,))]

    def close(self) -> None:
        self._connection.close()
