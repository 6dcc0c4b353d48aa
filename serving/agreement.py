"""How the workers of one server agree: all change over to a state, or none does.

    reload-<pid>/current           the stamp of the state that was taken up last
    reload-<pid>/asked             changes when somebody asks for a look at everything (SIGHUP, POST /reload)
    reload-<pid>/<stamp>/          the snapshot of a state
    reload-<pid>/<stamp>.verdict   what becomes of it: the moment to change over, or why nobody does
    reload-<pid>/*.worker          a running worker's note: the stamp of the state that it has loaded

No worker leads, so none can be missed. There is no lock: a verdict is a file, and the first one stands.
"""

import os
import secrets
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from pydantic_core import from_json, to_json

from model.promotion import Note, Notes, Worker

_CURRENT, _ASKED, _VERDICT = "current", "asked", ".verdict"


class Verdict(NamedTuple):
    """`at` is the moment on the machine's monotonic clock, in seconds; `refused` says why there is none."""

    at: float = 0.0
    refused: str = ""


class Agreement:
    """The folder, which a server's first process empties by `begin`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notes = Notes(folder)

    def begin(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    def worker(self) -> Worker:
        """Takes part from now on: nothing is agreed on without this worker."""
        return self._notes.begin()

    def asked(self) -> str:
        try:
            return (self._folder / _ASKED).read_text()
        except FileNotFoundError:
            return ""

    def ask(self) -> None:
        """Safe in the handler of a signal."""
        self._replace(_ASKED, secrets.token_hex(8))

    def current(self) -> str:
        return (self._folder / _CURRENT).read_text()

    def take(self, stamp: str) -> None:
        """Says that a state is the current one. The one before stays, since a worker may be about to start with it."""
        before = self.current() if (self._folder / _CURRENT).exists() else stamp
        self._replace(_CURRENT, stamp)
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in (before, stamp) and not path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)

    def snapshot(self, stamp: str) -> Path:
        return self._folder / stamp

    def waiting_for(self, stamp: str) -> list[Note]:
        """The workers that have not loaded a state yet."""
        return [note for note in self._notes.all() if note.stamp != stamp]

    def verdict(self, stamp: str) -> Verdict | None:
        try:
            return Verdict(**from_json((self._folder / f"{stamp}{_VERDICT}").read_bytes()))
        except FileNotFoundError:
            return None

    def decide(self, stamp: str, verdict: Verdict) -> Verdict:
        """Gives the verdict that stands: this one, unless there was one before."""
        aside = self._folder / f".{secrets.token_hex(8)}"
        aside.write_bytes(to_json(verdict._asdict()))
        try:
            os.link(aside, self._folder / f"{stamp}{_VERDICT}")
        except FileExistsError:
            pass
        finally:
            aside.unlink()
        return self.verdict(stamp) or verdict

    def _replace(self, name: str, text: str) -> None:
        aside = self._folder / f".{secrets.token_hex(8)}"
        aside.write_text(text)
        aside.rename(self._folder / name)


def soon(seconds: float) -> Verdict:
    return Verdict(at=time.monotonic() + seconds)
