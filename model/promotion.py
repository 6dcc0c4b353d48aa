"""Which model is served where it may be promoted, and which one each running worker serves.

    $BENTOML_HOME/riskline/promoted.json      the tags of the models promoted, oldest first; the last is served
    $BENTOML_HOME/riskline/*.worker           a running worker's note, locked for as long as it runs

It lies beside the model store that the tags are of. Training changes neither: once a model has been promoted, another
one is served only when it is promoted too, also after a restart.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from model.errors import PromotionError
from model.storage import STORE_NAME

NEWEST = f"{STORE_NAME}:latest"
_POINTER, _NOTE, _LOCK = "promoted.json", ".worker", "lock"


class Note(NamedTuple):
    """What a worker says of itself. `tag` is of the model that it serves, empty while it starts; `fixed` is the mounted
    or configured model that it cannot leave; `refused` says why it did not take up the model promoted at `stamp`."""

    pid: int
    tag: str = ""
    fixed: str = ""
    refused: str = ""
    stamp: str = ""


class Worker:
    """This process's note, in a file that is locked until the process ends."""

    def __init__(self, folder: Path) -> None:
        self._file: int | None = None
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._path, new = folder / (name + _NOTE), folder / f".{name}.new"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self.tell(Note(os.getpid()))
            new.rename(self._path)  # nobody sees it before it is locked
        except OSError:  # nothing can be written here, so nothing can be promoted here either
            self.close()

    def tell(self, note: Note) -> None:
        """Says something else; who reads it half written finds no JSON and looks again."""
        if self._file is not None:
            text = json.dumps(note._asdict()).encode()
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))

    def close(self) -> None:
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


class Notes:
    """The notes of the workers that run, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> Worker:
        """Begins this process's note."""
        return Worker(self._folder)

    def all(self) -> list[Note]:
        """What the running workers say; the notes of those that were killed are removed."""
        notes = []
        for path in sorted(self._folder.glob(f"*{_NOTE}")):
            try:
                with path.open("rb") as file:
                    if _is_held(file.fileno()):
                        notes.append(_read(path, file.read()))
                    else:
                        path.unlink(missing_ok=True)
            except FileNotFoundError:  # it has just ended
                continue
        return notes


class Promotions:
    """The folder, by default the one beside this machine's model store."""

    def __init__(self, folder: Path | None = None) -> None:
        home = Path(os.environ.get("BENTOML_HOME") or "~/bentoml").expanduser()
        self._folder = folder or home / STORE_NAME
        self._notes = Notes(self._folder)

    def models(self) -> Sequence[str]:
        """The tags promoted, oldest first; none where the newest of the store is served."""
        try:
            models: list[str] = json.loads((self._folder / _POINTER).read_text())["models"]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError):
            raise PromotionError(f"{self._folder / _POINTER} is damaged; delete it and promote a model again") from None
        return models

    def model(self) -> str:
        """The tag of the model to serve."""
        return [NEWEST, *self.models()][-1]

    def stamp(self) -> str:
        """What tells one promotion from the next; empty where there was none."""
        try:
            found = (self._folder / _POINTER).stat()
        except FileNotFoundError:
            return ""
        return f"{found.st_ino}-{found.st_mtime_ns}"

    def promote(self, models: Sequence[str]) -> str:
        """Has the last of these tags served, from one moment to the next; gives the promotion's stamp."""
        aside = self._folder / f".{_POINTER}.{os.getpid()}"
        aside.write_text(json.dumps({"models": list(models)}, indent=1) + "\n")
        aside.rename(self._folder / _POINTER)
        return self.stamp()

    def worker(self) -> Worker:
        """Begins this process's note."""
        return self._notes.begin()

    def workers(self) -> list[Note]:
        """What the running workers say."""
        return self._notes.all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other promotions out; PromotionError where there is one already, or nothing can be written."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PromotionError(f"{self._folder} cannot be written to ({error.strerror})") from None
        try:
            if _is_held(lock):
                raise PromotionError("another promotion is under way; wait for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _read(path: Path, text: bytes) -> Note:
    try:
        return Note(**json.loads(text))
    except ValueError:
        return Note(int(path.name.split("-")[0]))


def _is_held(file: int) -> bool:
    """Whether another process, or another open file, holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False
