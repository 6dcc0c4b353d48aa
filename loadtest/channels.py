"""What the channels cost, and what they do with payloads that nobody should send: no server, only preprocessing.

python -m loadtest.channels [--payloads 100000]
"""

import argparse
import gc
import time
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from random import Random
from typing import Any

from pydantic_core import from_json, to_json
from rich.console import Console
from rich.table import Table

from loadtest.channel_payloads import payloads
from preprocessing.channels import forms
from preprocessing.channels.collected import LOW_CONFIDENCE, Collected, Payload
from preprocessing.channels.json_body import parsed
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication

ROUNDS, AT_ONCE = 40, 100
EXAMPLE = {field.name: field.kind.example for field in FIELDS}
SOUND = payloads(EXAMPLE)
SCORE = {
    "probability": 0.166922, "tier": "medium", "points": 534, "model_version": "0", "policy_version": "0",
    "decision_id": "0", "warnings": [],
}  # fmt: skip
_ODD_VALUES: tuple[Any, ...] = (
    None, True, "", "-1", "1.200", "1,200.50.1", "one", "P5Y", [], {}, [[]], {"value": {}}, 10**400, -1.5e308,
    "\x00", "\u202e", "x" * 300, "<b>", "__proto__",
)  # fmt: skip


def wrong(chance: Random, name: str) -> Payload:
    """A payload of a form of `SOUND`, with something in it that does not belong there, or some bytes of it lost."""
    _, payload = SOUND[name]
    body = payload.body
    if payload.media_type == forms.JSON and chance.random() < 0.7:
        value = from_json(body)
        for _ in range(chance.choice((1, 1, 2, 5))):
            value = _changed(chance, value)
        body = to_json(value, inf_nan_mode="constants")
    if chance.random() < 0.4:
        place = chance.randrange(len(body) + 1)
        body = body[:place] + chance.randbytes(chance.randrange(4)) + body[place + chance.randrange(9) :]
    if chance.random() < 0.05:
        body = chance.randbytes(chance.randrange(40))
    return payload._replace(body=body, language=chance.choice(("", "de", "en-US", "xx")))


def _changed(chance: Random, value: Any) -> Any:
    """JSON in which one thing, deep inside or not, is another."""
    if not value or not isinstance(value, (dict, list)) or chance.random() < 0.1:
        return deepcopy(chance.choice(_ODD_VALUES))
    place = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    if isinstance(value, dict) and chance.random() < 0.1:
        return {("x" if key == place else key): inner for key, inner in value.items()}
    value[place] = _changed(chance, value[place])
    return value


def told_of(collected: Collected) -> Mapping[str, Any]:
    """What the service would say of it."""
    if not isinstance(collected.row, InvalidApplication):
        return SCORE
    error = collected.row
    detail = [{"field": problem.field, "rule": problem.rule, "message": problem.message} for problem in error.detail]
    return {"error": error.code, "message": error.message, "detail": detail}


def microseconds(name: str) -> tuple[float, float]:
    """Of taking a sound payload apart and of that the JSON parser's; the fastest of many rounds."""
    channel, payload = SOUND[name]
    is_json = payload.media_type == forms.JSON
    return (
        _fastest(lambda: forms.read(channel, payload, LOW_CONFIDENCE)),
        _fastest(lambda: parsed(payload.body)) if is_json else 0.0,
    )


def _fastest(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(AT_ONCE):
            work()
        spent.append(time.perf_counter() - started)
    return min(spent) / AT_ONCE * 1e6


def outcomes(name: str, count: int) -> Counter[str]:
    """What becomes of `count` payloads in which something is wrong."""
    channel, _ = SOUND[name]
    chance = Random(name)  # noqa: S311 - the same ones each time
    counted = Counter[str]()
    for _ in range(count):
        payload = wrong(chance, name)
        try:
            collected = forms.read(channel, payload, LOW_CONFIDENCE)
            assert collected is not None, "the media type is the channel's"
            collected.source()
            to_json(forms.answer(collected, told_of(collected)))
        except Exception as error:  # which is what is counted
            counted["exceptions"] += 1
            Console(stderr=True).print(f"{name}: {type(error).__name__}", payload.body)
        else:
            counted["refused" if isinstance(collected.row, InvalidApplication) else "taken"] += 1
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payloads", type=int, default=100_000, help="generated ones, for each form")
    count = parser.parse_args().payloads
    table = Table("form", "bytes", "taken apart, µs", "of it JSON, µs", "wrong ones", "taken", "refused", "exceptions")
    gc.disable()  # what a worker does, between its own looks
    times = {name: microseconds(name) for name in SOUND}
    gc.enable()
    for name, (_, payload) in SOUND.items():
        whole, json = times[name]
        seen = outcomes(name, count)
        shown = [str(seen[kind]) for kind in ("taken", "refused", "exceptions")]
        table.add_row(name, str(len(payload.body)), f"{whole:.1f}", f"{json:.1f}", str(count), *shown)
    Console().print(table)


if __name__ == "__main__":
    main()
