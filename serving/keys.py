"""API keys: who may call, and what. The file holds no secret, only its sha256.

    python -m serving.keys add keys.json webshop --scope score --per-second 50 --per-day 100000
    python -m serving.keys add keys.json webshop-2027 --scope score --days 400     # the next one, beside the first
    python -m serving.keys list keys.json
    python -m serving.keys remove keys.json webshop

`add` prints the key, which nobody can show again. A running service takes the changed file up by itself.

A key is `riskline_<id>_<secret>`. The id is no secret and finds the entry; 256 random bits need no slow hash, since
nobody can try them all.
"""

import argparse
import hashlib
import hmac
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_serializer

from preprocessing.errors import RisklineError

Scope = Literal["score", "review", "operate", "read"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX, _SECRET = b"riskline_%b_", 43
_NOBODY = (bytes(32), None, None)  # whose digest no secret has
LARGEST_FILE = 2**20
MOST_DAYS = 36_500
EVERYBODY = "none"  # what RISKLINE_KEYS says to open the service on purpose


class KeysError(RisklineError):
    """The file of keys cannot be read, or says what it may not."""

    code = "bad_keys"


class Key(BaseModel):
    """What the file says of one key."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$", description="Names it in metrics and logs.")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="Of the secret, in hexadecimal.")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    per_second: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, description="Most requests a second; a second's may come at once."),
    ]
    per_day: Annotated[int | None, Field(ge=1, description="Most requests a day, which begins at midnight UTC.")]
    until: AwareDatetime | None = None

    @field_serializer("until")
    def _in_utc(self, until: datetime | None) -> str | None:
        return None if until is None else until.astimezone(UTC).isoformat(timespec="seconds")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    keys: tuple[Key, ...]


class Keys:
    """Finds the key that a caller has."""

    def __init__(self, keys: Sequence[Key]) -> None:
        # what stands before the secret finds a key; bytes, since this is asked for at each request
        self._keys: Mapping[bytes, tuple[bytes, float | None, Key]] = {
            _PREFIX % key.id.encode(): (bytes.fromhex(key.sha256), key.until.timestamp() if key.until else None, key)
            for key in keys
        }

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return (key for _, _, key in self._keys.values())

    def find(self, presented: bytes) -> Key | None:
        """The key that `presented` is, unless its time is over. How long it takes tells nothing of any secret."""
        digest, until, key = self._keys.get(presented[:-_SECRET], _NOBODY)
        if not hmac.compare_digest(hashlib.sha256(presented[-_SECRET:]).digest(), digest):
            return None
        return key if until is None or time.time() < until else None


class KeyRing:
    """The keys that open something in this process, None where nobody needs one; there is one ring.

    Nobody may call before the service has read them.
    """

    keys: Keys | None = Keys(())


RING = KeyRing()


def held(setting: str) -> Keys | None:
    """The keys that RISKLINE_KEYS names; None where nobody needs one."""
    return None if setting in ("", EVERYBODY) else read_keys(Path(setting))


def prove(setting: str, host: str) -> str:
    """Who may call a service that listens on the address `host`, in a line for the operator.

    KeysError where the file is no good, or where everybody on a network could call and nobody said so.
    """
    if (keys := held(setting)) is not None:
        return f"whoever has one of {len(keys)} keys may call ({setting})"
    if setting == EVERYBODY:
        return f"NO KEYS: whoever reaches {host} may score, read and review decisions, and change models"
    if not ip_address(host).is_loopback:
        raise KeysError(
            f"{host} can be reached from outside, and nobody would need a key: name a file of keys in RISKLINE_KEYS "
            f"(python -m serving.keys), or set RISKLINE_KEYS={EVERYBODY} where something in front asks who calls"
        )
    return "NO KEYS: every program of this machine may score, read and review decisions, and change models"


def read_keys(file: Path) -> Keys:
    """The keys of a file; KeysError saying what is wrong with it, without what it says."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise KeysError(f"{file} is larger than a file of keys can be")
        keys = _File.model_validate_json(file.read_bytes()).keys
    except OSError as error:
        raise KeysError(f"the keys in {file} cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise KeysError(f"{file} is no file of keys: {place}: {first['msg']}") from None
    ids = [key.id for key in keys]
    if twice := next((name for name in ids if ids.count(name) > 1), None):
        raise KeysError(f"{file} has two keys with the id {twice}")
    return Keys(keys)


def write_keys(file: Path, keys: Sequence[Key]) -> None:
    """Writes aside, then renames: a running service sees the file before or after, and nobody else reads it.

    KeysError where that cannot be done; the file is then as before.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "w") as opened:
                opened.write(json.dumps(_File(keys=tuple(keys)).model_dump(mode="json"), indent=1) + "\n")
                os.fsync(opened.fileno())
            aside.rename(file)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise KeysError(f"{file} cannot be written ({error.strerror})") from None


def new_key(
    name: str,
    scopes: Sequence[Scope],
    per_second: float | None = None,
    per_day: int | None = None,
    until: datetime | None = None,
) -> tuple[str, Key]:
    """A key for its caller, and what of it is kept; KeysError where a rule is broken."""
    secret = secrets.token_urlsafe(32)
    try:
        kept = Key(
            id=name,
            sha256=hashlib.sha256(secret.encode()).hexdigest(),
            scopes=tuple(dict.fromkeys(scopes)),
            per_second=per_second,
            per_day=per_day,
            until=until,
        )
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise KeysError(f"{first['loc'][0]}: {first['msg']}") from None
    return f"riskline_{name}_{secret}", kept


def _add(arguments: argparse.Namespace) -> str:
    keys = list(read_keys(arguments.file)) if arguments.file.exists() else []
    if arguments.id in {key.id for key in keys}:
        raise KeysError(f"there is a key {arguments.id} already; give the new one another id, and remove the old later")
    until = None
    if arguments.days is not None:
        if not 0 < arguments.days <= MOST_DAYS:
            raise KeysError(f"--days must be above 0 and at most {MOST_DAYS}")
        until = datetime.now(UTC) + timedelta(days=arguments.days)
    text, kept = new_key(arguments.id, arguments.scope, arguments.per_second, arguments.per_day, until)
    write_keys(arguments.file, [*keys, kept])
    return text


def _remove(arguments: argparse.Namespace) -> str:
    keys = list(read_keys(arguments.file))
    left = [key for key in keys if key.id != arguments.id]
    if len(left) == len(keys):
        raise KeysError(f"{arguments.file} has no key {arguments.id}")
    write_keys(arguments.file, left)
    return f"{arguments.id} is removed; {len(left)} left"


def _list(arguments: argparse.Namespace) -> str:
    return "\n".join(_line(key) for key in read_keys(arguments.file)) or "no keys"


def _line(key: Key) -> str:
    parts = [f"{key.id}: {' '.join(key.scopes)}"]
    if key.per_second is not None:
        parts.append(f"{key.per_second:g} a second")
    if key.per_day is not None:
        parts.append(f"{key.per_day} a day")
    if key.until is not None:
        parts.append(f"until {key.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    return ", ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m serving.keys", description="Who may call the service.")
    commands = parser.add_subparsers(required=True, metavar="add | remove | list")
    add = commands.add_parser("add", help="make a key, print it once, and keep its hash")
    remove = commands.add_parser("remove", help="let a key open nothing any more")
    shown = commands.add_parser("list", help="show the keys there are")
    for command, run in ((add, _add), (remove, _remove), (shown, _list)):
        command.add_argument("file", type=Path)
        command.set_defaults(run=run)
    for command in (add, remove):
        command.add_argument("id", help="at most 32 small letters, digits and hyphens")
    add.add_argument("--scope", action="append", choices=SCOPES, required=True, help="may be given more than once")
    add.add_argument("--per-second", type=float, metavar="REQUESTS")
    add.add_argument("--per-day", type=int, metavar="REQUESTS")
    add.add_argument("--days", type=float, help="how long it is good for; for ever without it")
    arguments = parser.parse_args()
    try:
        print(arguments.run(arguments))  # noqa: T201
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")


if __name__ == "__main__":
    main()
