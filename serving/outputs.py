"""The answers that the official XGBoost image gives where SAGEMAKER_INFERENCE_OUTPUT asks for them, by its names.

    CSV: 1,0.73    JSON Lines: {"predicted_label": 1, "probability": 0.73}    JSON: {"predictions": [{...}, ...]}

Class 1 is the applicant who goes bad. For `binary:logistic` that image gives the probability as raw score too, and NaN
for `predicted_score`, which is for regressions. A refused row has its error in the first cell, or as its object.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import BinaryIO

from pydantic_core import to_json

from model.policy import DIGITS
from serving.errors import ErrorAnswer
from serving.formats import CSV, JSON, LINES, Format
from serving.hosting import OUTPUTS, Output
from serving.scorer import Scores

Value = float | int | list[float] | list[int] | None


def _both(probability: float) -> list[float]:
    return [round(1 - probability, DIGITS), probability]


_VALUE: dict[Output, Callable[[float], Value]] = {
    "predicted_label": lambda probability: int(probability > 0.5),
    "labels": lambda _: [0, 1],
    "probability": lambda probability: probability,
    "probabilities": _both,
    "raw_score": lambda probability: probability,
    "raw_scores": _both,
    "predicted_score": lambda _: None,
}


def selected(wanted: Format, outputs: Sequence[Output], header: bool) -> Format:
    """`wanted` with the columns `outputs` alone; Arrow and Parquet, which that image does not write, stay."""
    if wanted.media_type == CSV:
        return wanted._replace(write=partial(_write_csv, outputs, header))
    if wanted.media_type in (JSON, LINES):
        return wanted._replace(write=partial(_write_json if wanted.media_type == JSON else _write_lines, outputs))
    return wanted


def _write_csv(
    outputs: Sequence[Output], header: bool, answers: Iterable[Scores], target: BinaryIO, explained: bool
) -> None:
    if header:
        target.write((",".join([*outputs, *(["reasons"] if explained else [])]) + "\n").encode())
    for scores in answers:
        if outputs == ("probability",) and not scores.refused and not explained:  # what Clarify sends thousands of
            target.write("".join([f"{probability!r}\n" for probability in scores.probability]).encode())
            continue
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        for row, probability in enumerate(scores.probability):
            cells: list[object]
            if row in scores.refused:
                error = scores.refused[row]
                told = " ".join([error.code, *(f"{problem.field}:{problem.rule}" for problem in error.detail)])
                cells = [told, *[""] * (len(outputs) - 1)]
            else:
                cells = ["nan" if (value := _VALUE[name](probability)) is None else value for name in outputs]
            if explained:
                ranked = (scores.reasons or {}).get(row)
                cells.append("" if ranked is None or row in scores.refused else scores.reasoning.in_short(ranked))
            lines.writerow(cells)
        target.write(text.getvalue().encode())


def _write_json(outputs: Sequence[Output], answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:
    rows = [row for scores in answers for row in _objects(outputs, scores, explained)]
    target.write(b'{"predictions":[' + b",".join(rows) + b"]}")


def _write_lines(outputs: Sequence[Output], answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:
    for scores in answers:
        target.write(b"".join([row + b"\n" for row in _objects(outputs, scores, explained)]))


def _objects(outputs: Sequence[Output], scores: Scores, explained: bool) -> Iterator[bytes]:
    names = [name for name in OUTPUTS if name in outputs]  # in that image's order
    for row, probability in enumerate(scores.probability):
        if row in scores.refused:
            yield to_json(ErrorAnswer.of(scores.refused[row]))
            continue
        answer = to_json({name: _VALUE[name](probability) for name in names})
        if explained and scores.reasons is not None:
            answer = answer[:-1] + b',"reasons":' + scores.reasoning.as_json(scores.reasons[row]).encode() + b"}"
        yield answer
