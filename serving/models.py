"""The models of a multi-model endpoint, loaded and unloaded while the service runs.

Any worker may get the request to load a model, and any other the next one to use it. So what is loaded stands in a
folder that all workers see, a file a model, and each worker opens it when it first needs it.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.artifact import open_artifact
from model.errors import ArtifactError
from preprocessing.errors import MalformedBody
from serving.api import Api
from serving.errors import AlreadyLoaded, NoRoom, NotFound

MOST_MODELS = 64
MOST_AT_ONCE = 100  # listed in one answer


class Load(BaseModel):
    """The body of `POST /models`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    model_name: str = Field(min_length=1, max_length=256)
    url: str = Field(min_length=1, max_length=4096, pattern="^/")


class _Open(NamedTuple):
    entry: str  # as it stood when the model was opened
    api: Api


class Models:
    """Adds, lists, removes and finds models by name; `api` is the worker's own, which theirs are made beside."""

    def __init__(self, folder: Path, api: Api) -> None:
        self._folder, self._api = folder, api
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, body: bytes) -> None:
        """Verifies and keeps a model; ArtifactError for one that does not verify, as at start-up."""
        try:
            asked = Load.model_validate_json(body)
        except ValidationError:
            raise MalformedBody('the body must be {"model_name": "...", "url": "/a/folder"}') from None
        file = self._file(asked.model_name)
        if file.exists():
            raise AlreadyLoaded(f"there is a model {asked.model_name} already")
        if len(self._entries()) >= MOST_MODELS:
            raise NoRoom(f"there are {MOST_MODELS} models already, which is as many as fit")
        try:
            api = self._opened(asked.url)
            with file.open("x") as target:  # whoever writes it first has loaded it
                target.write(json.dumps({"modelName": asked.model_name, "modelUrl": asked.url}))
        except MemoryError:
            raise NoRoom(f"there is no memory for the model {asked.model_name}") from None
        except FileExistsError:
            api.close()
            raise AlreadyLoaded(f"there is a model {asked.model_name} already") from None
        with self._lock:
            self._open[asked.model_name] = _Open(_stamp(file), api)

    def unload(self, name: str) -> None:
        """Forgets a model; a request that it is scoring is answered all the same."""
        try:
            self._file(name).unlink()
        except FileNotFoundError:
            raise NotFound(f"there is no model {name[:64]}") from None
        self._forget()

    def listed(self, page: str | None = None) -> dict[str, object]:
        """At most `MOST_AT_ONCE` models, from the name `page` on; `nextPageToken` where there are more."""
        entries = [entry for entry in self._entries() if page is None or entry["modelName"] >= page]
        shown: dict[str, object] = {"models": entries[:MOST_AT_ONCE]}
        if len(entries) > MOST_AT_ONCE:
            shown["nextPageToken"] = entries[MOST_AT_ONCE]["modelName"]
        return shown

    def shown(self, name: str) -> Mapping[str, str]:
        try:
            entry: Mapping[str, str] = json.loads(self._file(name).read_text())
        except FileNotFoundError:
            raise NotFound(f"there is no model {name[:64]}") from None
        return entry

    def ready(self, name: str) -> Api | None:
        """The model's Api where this worker has it open, without waiting for anything."""
        known = self._open.get(name)
        return known.api if known is not None and known.entry == _stamp(self._file(name)) else None

    def api(self, name: str) -> Api:
        """The model's Api, opened if need be; NotFound if it is not loaded."""
        with self._lock:
            if (ready := self.ready(name)) is not None:
                return ready
            entry = _stamp(self._file(name))
            api = self._opened(self.shown(name)["modelUrl"])
            self._open[name] = _Open(entry, api)
        self._forget()
        return api

    def close(self) -> None:
        for known in self._open.values():
            known.api.close()

    def _opened(self, url: str) -> Api:
        if not Path(url).exists():
            raise ArtifactError(f"there is no model at {url[:256]}")
        return self._api.beside(open_artifact(url))

    def _forget(self) -> None:
        """Lets go of what another worker has unloaded."""
        with self._lock:
            for name, known in list(self._open.items()):
                if known.entry != _stamp(self._file(name)):
                    del self._open[name]

    def _entries(self) -> list[dict[str, str]]:
        entries = []
        for file in self._folder.glob("*.json"):
            try:
                entries.append(json.loads(file.read_text()))
            except (FileNotFoundError, json.JSONDecodeError):  # unloaded, or being written, this moment
                continue
        return sorted(entries, key=lambda entry: str(entry["modelName"]))

    def _file(self, name: str) -> Path:
        """A name is the caller's text, so it becomes no path."""
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


def _stamp(file: Path) -> str:
    """What tells one loading of a model from the next under the same name; empty where there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_ino}-{found.st_mtime_ns}"
