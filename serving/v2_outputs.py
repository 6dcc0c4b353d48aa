"""Answers of the Open Inference Protocol: scores → tensors of one value a row.

Texts with more than a word in them, as warnings and reasons, are JSON. In a row that was refused `error` is its error,
the probability is NaN (null in JSON), the points are 0 and the words are empty.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import to_json

from model.policy import TIERS
from serving.answers import warnings_json
from serving.errors import ErrorAnswer
from serving.scorer import Scores

NAME = "riskline"  # the model's


class Output(NamedTuple):
    """How an output is made: its values in some rows of scores, and what stands in a row that was refused."""

    datatype: str
    values: Callable[[Scores, Sequence[int]], list[Any]]
    if_refused: object


class Wanted(NamedTuple):
    """An output that was asked for; `binary` None where the request as a whole says that."""

    name: str
    binary: bool | None


class Written(NamedTuple):
    """A body, and how many bytes of it are JSON where others follow."""

    body: bytes
    json_bytes: int | None


def _warnings(scores: Scores, rows: Sequence[int]) -> list[str]:
    return [warnings_json(scores.warnings[row]) if row in scores.warnings else "[]" for row in rows]


def _reasons(scores: Scores, rows: Sequence[int]) -> list[str]:
    told = []
    for row in rows:
        if row in scores.stood:
            told.append(to_json(scores.stood[row].reasons or ()).decode())
        else:
            ranked = (scores.reasons or {}).get(row)
            told.append("[]" if ranked is None else scores.reasoning.as_json(ranked))
    return told


# in the order of an answer
OUTPUTS: dict[str, Output] = {
    "probability": Output("FP64", lambda scores, rows: [scores.probability[row] for row in rows], float("nan")),
    "tier": Output("BYTES", lambda scores, rows: [TIERS[scores.tier[row]] for row in rows], ""),
    "points": Output("INT64", lambda scores, rows: [scores.points[row] for row in rows], 0),
    "decision_id": Output("BYTES", lambda scores, rows: [scores.decision_id[row] for row in rows], ""),
    "warnings": Output("BYTES", _warnings, "[]"),
    "reasons": Output("BYTES", _reasons, "[]"),
    "error": Output("BYTES", lambda _, rows: [""] * len(rows), ""),
}
_EXPLAINED = tuple(Wanted(name, None) for name in OUTPUTS)
_PLAIN = tuple(each for each in _EXPLAINED if each.name != "reasons")


def all_of(explained: bool) -> tuple[Wanted, ...]:
    """What is answered where nothing is asked for: everything, and reasons where the answer has them."""
    return _EXPLAINED if explained else _PLAIN


def written(
    blocks: Sequence[tuple[Scores, Sequence[int]]], wanted: Iterable[Wanted], binary: bool, id_: str | None
) -> Written:
    """The body of an answer to the given rows of `blocks`, in order."""
    if wanted is _PLAIN and not binary and len(blocks) == 1 and (plain := _plain(*blocks[0], id_)):
        return Written(plain.encode(), None)
    count = sum([len(rows) for _, rows in blocks])
    outputs: list[str] = []
    after: list[bytes] = []
    for name, in_bytes in wanted:
        values = _values(name, blocks)
        begin = f"{_BEGIN[name]}{count}],"
        if binary if in_bytes is None else in_bytes:
            raw = _BYTES_OF[OUTPUTS[name].datatype](values)
            after.append(raw)
            outputs.append(f'{begin}"parameters":{{"binary_data_size":{len(raw)}}}}}')
        else:
            outputs.append(f'{begin}"data":{to_json(values, inf_nan_mode="null").decode()}}}')
    told = (_ABOUT % (_said(id_), *_versions(blocks)) + ",".join(outputs) + "]}").encode()
    return Written(b"".join([told, *after]), len(told)) if after else Written(told, None)


def _said(id_: str | None) -> str:
    return "" if id_ is None else f'"id":{to_json(id_).decode()},'


def _plain(scores: Scores, rows: Sequence[int], id_: str | None) -> str:
    """The same for one score, which most answers are, put together from parts made beforehand; empty for others."""
    if len(rows) != 1 or (row := rows[0]) in scores.refused or row in scores.stood:
        return ""
    warnings = to_json(warnings_json(scores.warnings[row])).decode() if row in scores.warnings else '"[]"'
    return _ONE % (
        _said(id_), scores.model_version, scores.policy_version, scores.probability[row], TIERS[scores.tier[row]],
        scores.points[row], scores.decision_id[row], warnings,
    )  # fmt: skip


_ABOUT = f'{{"model_name":"{NAME}",%s"model_version":"%s","parameters":{{"policy_version":"%s"}},"outputs":['
_BEGIN = {name: f'{{"name":"{name}","datatype":"{output.datatype}","shape":[' for name, output in OUTPUTS.items()}

_WORD = '"%s"'  # tiers and ids have nothing in them that JSON would have to escape
_VALUE = {"probability": "%r", "points": "%d", "warnings": "%s", "error": '""'}
_ONE = _ABOUT + ",".join([f'{_BEGIN[each.name]}1],"data":[{_VALUE.get(each.name, _WORD)}]}}' for each in _PLAIN]) + "]}"


def _values(name: str, blocks: Sequence[tuple[Scores, Sequence[int]]]) -> list[Any]:
    return list(chain.from_iterable([_of_block(name, scores, rows) for scores, rows in blocks]))


def _of_block(name: str, scores: Scores, rows: Sequence[int]) -> list[Any]:
    output = OUTPUTS[name]
    values = output.values(scores, rows)
    if not scores.refused:
        return values
    for place, row in enumerate(rows):
        if row in scores.refused:
            error = name == "error"
            values[place] = to_json(ErrorAnswer.of(scores.refused[row])).decode() if error else output.if_refused
    return values


def _versions(blocks: Sequence[tuple[Scores, Sequence[int]]]) -> tuple[str, str]:
    """The model and the policy of the decisions; empty where they differ, as some were made before under their ids."""
    made = {(scores.model_version, scores.policy_version) for scores, _ in blocks}
    for scores, rows in blocks:
        if scores.stood:
            others = {row: (score.model_version, score.policy_version) for row, score in scores.stood.items()}
            ours = (scores.model_version, scores.policy_version)
            made = made - {ours} | {others.get(row, ours) for row in rows if row not in scores.refused}
    models, policies = {model for model, _ in made}, {policy for _, policy in made}
    return models.pop() if len(models) == 1 else "", policies.pop() if len(policies) == 1 else ""


def _of_words(values: Sequence[str]) -> bytes:
    words = [value.encode() for value in values]
    return b"".join([part for word in words for part in (struct.pack("<I", len(word)), word)])


_BYTES_OF: dict[str, Callable[[Sequence[Any]], bytes]] = {
    "FP64": lambda values: np.array(values, "<f8").tobytes(),
    "INT64": lambda values: np.array(values, "<i8").tobytes(),
    "BYTES": _of_words,
}
