"""JSON that a channel sends, with a look at what parsers pass over: a key that comes twice has two values."""

import json
from typing import NamedTuple

import msgspec


class Unreadable(NamedTuple):
    """Why a body is no JSON that can be used: `key` is what comes twice, "" where it is no JSON at all."""

    message: str
    key: str = ""


class _Repeated(Exception):
    """Carries the key."""


def parsed(body: bytes) -> object:
    """What a JSON body says, as dicts, lists, texts, numbers, booleans and None; Unreadable where it cannot be used."""
    try:
        value: object = _DECODER.decode(body)
        # Every pair has a colon. Where there are as many when it is written again, no pair got lost: texts keep theirs,
        # unless they are escaped.
        if body.count(b":") != _ENCODER.encode(value).count(b":") or b"\\u003" in body:
            _LOOK_AGAIN.decode(body.decode())
    except _Repeated as repeated:
        return Unreadable("this key was sent more than once", str(repeated))
    except (ValueError, RecursionError):
        return Unreadable("the body is not valid UTF-8 JSON")
    return value


def _once(pairs: list[tuple[str, object]]) -> None:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise _Repeated(next(key for key in keys if keys.count(key) > 1))


_DECODER, _ENCODER = msgspec.json.Decoder(), msgspec.json.Encoder()
_LOOK_AGAIN = json.JSONDecoder(object_pairs_hook=_once)
