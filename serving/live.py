"""What may change while the service runs: the model with its policy, the keys of callers, how much is logged.

One state of it is a snapshot, a folder. All workers of a server load the same bytes from it, and so does a worker that
starts later, whatever has become of the places that they came from.

    model/       the artefact
    keys.json    where callers need keys
    state.json   the rest
"""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json, to_json

from model.artifact import Artifact, open_artifact
from model.promotion import Promotions
from model.storage import saved, write_folder
from serving.keys import EVERYBODY, Keys, read_keys
from serving.settings import LogLevel, Settings, SettingsError

MODEL, KEYS, STATE = "model", "keys.json", "state.json"
LARGEST_FILE = 64 * 1024


class Overrides(BaseModel):
    """What the file of RISKLINE_LIVE may hold; each goes before the setting of its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str = ""
    log_level: LogLevel | None = None


class Live(NamedTuple):
    """A state, loaded and verified. `since` is when its model was saved, in seconds since 1970; `fixed` is the model
    that is mounted or configured, empty where it may be promoted."""

    artifact: Artifact
    since: float
    fixed: str
    keys: Keys | None
    log_level: LogLevel


class Sources:
    """Where a state comes from. `fixed_model` is the mounted or configured model, if there is one."""

    def __init__(self, settings: Settings, fixed_model: str, promotions: Promotions) -> None:
        self._settings, self._fixed_model, self.promotions = settings, fixed_model, promotions
        self._keys = None if settings.keys in ("", EVERYBODY) else Path(settings.keys)

    def stamp(self) -> str:
        """Changes with every promotion, and when a file of keys or of `Overrides` changes; not with a model's files."""
        stamps = [self.promotions.stamp()]
        stamps += [_stamp(Path(file)) for file in (self._settings.keys, self._settings.live) if file]
        return " ".join(stamps)

    def snapshot(self, folder: Path) -> None:
        """Makes `folder` the snapshot of now, unless it is there already; RisklineError for what does not verify."""
        overrides = read_overrides(Path(self._settings.live)) if self._settings.live else Overrides()
        fixed = overrides.model or self._fixed_model
        reference = fixed or self.promotions.model()
        artifact = open_artifact(reference)
        aside = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        try:
            write_folder(artifact.files, aside / MODEL)
            if self._keys:
                read_keys(self._keys)
                shutil.copyfile(self._keys, aside / KEYS)
            log_level = overrides.log_level or self._settings.log_level
            rest = {"since": saved(reference), "fixed": fixed, "log_level": log_level}
            (aside / STATE).write_bytes(to_json(rest))
            if not folder.exists():
                aside.rename(folder)
        except OSError:
            if not folder.exists():  # another worker was faster
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def load(snapshot: Path) -> Live:
    """The state of a snapshot; the model's golden rows have been scored right."""
    keys = snapshot / KEYS
    return Live(
        artifact=open_artifact(str(snapshot / MODEL)),
        keys=read_keys(keys) if keys.exists() else None,
        **from_json((snapshot / STATE).read_bytes()),
    )


def read_overrides(file: Path) -> Overrides:
    """The file of RISKLINE_LIVE; SettingsError naming what does not fit."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise SettingsError(f"{file} is larger than such a file can be (RISKLINE_LIVE)")
        return Overrides.model_validate_json(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"RISKLINE_LIVE={file} cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            can = " and ".join(Overrides.model_fields)
            raise SettingsError(f"{file} has {name}, but only {can} can change while the service runs") from None
        raise SettingsError(f"{file} does not fit: {name or 'the file'}: {first['msg']}") from None


def _stamp(file: Path) -> str:
    try:
        found = file.stat()
    except OSError:
        return "-"
    return hashlib.sha256(f"{found.st_ino} {found.st_mtime_ns} {found.st_size}".encode()).hexdigest()[:16]
