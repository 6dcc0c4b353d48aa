"""Scores as columns: the answers to CSV, Arrow and Parquet bodies, written block by block.

A refused row has no score; `error` is its code and `detail` lists its problems as `field:rule`, separated by spaces.
`warnings` lists `field:code` likewise.
"""

from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from model.policy import TIERS
from serving.scorer import Scores

_WORD = pa.dictionary(pa.int8(), pa.string())
SCHEMA = pa.schema(
    {
        "probability": pa.float64(),
        "tier": _WORD,
        "model_version": _WORD,
        "policy_version": _WORD,
        "decision_id": pa.string(),
        "warnings": pa.string(),
        "error": pa.string(),
        "detail": pa.string(),
    }
)


def write_arrow(answers: Iterable[Scores], target: BinaryIO) -> None:
    with pyarrow.ipc.new_stream(target, SCHEMA) as writer:
        for scores in answers:
            writer.write_batch(as_columns(scores))


def write_parquet(answers: Iterable[Scores], target: BinaryIO) -> None:
    with pyarrow.parquet.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
        for scores in answers:
            writer.write_batch(as_columns(scores))


def write_csv(answers: Iterable[Scores], target: BinaryIO) -> None:
    plain = pa.schema(
        {name: pa.string() if type_ == _WORD else type_ for name, type_ in zip(SCHEMA.names, SCHEMA.types, strict=True)}
    )
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with pyarrow.csv.CSVWriter(target, plain, write_options=options) as writer:
        for scores in answers:
            writer.write_batch(as_columns(scores).cast(plain))


def as_columns(scores: Scores) -> Any:
    """Scores → a record batch of `SCHEMA`."""
    rows = len(scores)
    refused = np.zeros(rows, dtype=np.bool_)
    refused[list(scores.refused)] = True
    none = pa.nulls(rows, pa.string())
    warnings, error, detail = none, none, none
    if scores.warnings:
        warnings = _sparse(rows, {row: [(w.field, w.code) for w in given] for row, given in scores.warnings.items()})
    if scores.refused:
        error = pa.array(["invalid_application" if wrong else None for wrong in refused.tolist()], pa.string())
        detail = _sparse(rows, {row: [(p.field, p.rule) for p in e.detail] for row, e in scores.refused.items()})
    tier = pa.array(np.asarray(scores.tier, dtype=np.int8), mask=refused)
    same = pa.array(np.zeros(rows, dtype=np.int8), mask=refused)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.asarray(scores.probability, dtype=np.float64), mask=refused),
            pa.DictionaryArray.from_arrays(tier, list(TIERS)),
            pa.DictionaryArray.from_arrays(same, [scores.model_version]),
            pa.DictionaryArray.from_arrays(same, [scores.policy_version]),
            pa.array(scores.decision_id, pa.string(), mask=refused if scores.refused else None),
            warnings,
            error,
            detail,
        ],
        schema=SCHEMA,
    )


def _sparse(rows: int, pairs: dict[int, Sequence[tuple[str, str]]]) -> Any:
    words: list[str | None] = [None] * rows
    for row, given in pairs.items():
        words[row] = " ".join(f"{field}:{word}" for field, word in given)
    return pa.array(words, pa.string())
