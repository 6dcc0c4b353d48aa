"""Scores as columns: the answers to CSV, Arrow and Parquet bodies, written block by block.

A refused row has no score; `error` is its code and `detail` lists its problems as `field:rule`, separated by spaces.
`warnings` lists `field:code` likewise, and `reasons`, where scores are explained, `code:contribution`, best one first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from model.policy import TIERS
from preprocessing.errors import Problem
from serving.scorer import ID_LENGTH, Scores, ScoreWarning

_WORD = pa.dictionary(pa.int8(), pa.string())
SCHEMA = pa.schema(
    {
        "probability": pa.float64(),
        "tier": _WORD,
        "points": pa.int32(),
        "model_version": _WORD,
        "policy_version": _WORD,
        "decision_id": pa.string(),
        "warnings": pa.string(),
        "error": pa.string(),
        "detail": pa.string(),
    }
)
_REASONS = pa.field("reasons", pa.string())
EXPLAINED_SCHEMA = SCHEMA.append(_REASONS)
# A row group of Parquet costs its readers a look at every column, and its writer the memory to hold it
ROW_GROUP_ROWS, ROW_GROUP_BYTES = 131_072, 64 * 2**20


def schema_of(explained: bool) -> Any:
    """The columns of scores."""
    return EXPLAINED_SCHEMA if explained else SCHEMA


def write_arrow(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:
    with pyarrow.ipc.new_stream(target, schema_of(explained)) as writer:
        for scores in answers:
            writer.write_batch(as_columns(scores))


def write_parquet(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:
    with parquet_writer(target, schema_of(explained)) as writer:
        for group in row_groups(map(as_columns, answers)):
            writer.write_table(group)


def parquet_writer(target: Any, schema: Any) -> Any:
    """For scores, and what else `schema` has. Ids are all different: a dictionary of them would only cost time."""
    repeated = [name for name in schema.names if name not in ("probability", "decision_id")]
    return pyarrow.parquet.ParquetWriter(target, schema, compression="zstd", use_dictionary=repeated)


def row_groups(batches: Iterable[Any]) -> Iterator[Any]:
    """Record batches → tables that are large enough; ParquetWriter would make a row group of each batch."""
    gathered: list[Any] = []
    rows = size = 0
    for batch in batches:
        gathered.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(gathered)
            gathered, rows, size = [], 0, 0
    if gathered:
        yield pa.Table.from_batches(gathered)


def write_csv(answers: Iterable[Scores], target: BinaryIO, explained: bool, header: bool = True) -> None:
    plain = pa.schema(
        [field.with_type(pa.string()) if field.type == _WORD else field for field in schema_of(explained)]
    )
    options = pyarrow.csv.WriteOptions(include_header=header, quoting_style="needed")
    with pyarrow.csv.CSVWriter(target, plain, write_options=options) as writer:
        for scores in answers:
            writer.write_batch(as_columns(scores).cast(plain))


def as_columns(scores: Scores) -> Any:
    """Scores → a record batch of `SCHEMA`, or of `EXPLAINED_SCHEMA` where they have reasons."""
    rows = len(scores)
    refused = np.zeros(rows, dtype=np.bool_)
    refused[list(scores.refused)] = True
    none = pa.nulls(rows, pa.string())
    warnings, error, detail = none, none, none
    if scores.warnings:
        warnings = _sparse(rows, scores.warnings)
    if scores.refused:
        codes = {row: wrong.code for row, wrong in scores.refused.items()}
        error = pa.array([codes.get(row) for row in range(rows)], pa.string())
        detail = _sparse(rows, {row: wrong.detail for row, wrong in scores.refused.items()})
    tier = pa.array(np.asarray(scores.tier, dtype=np.int8), mask=refused)
    same = pa.array(np.zeros(rows, dtype=np.int8), mask=refused)
    columns = [
        pa.array(np.asarray(scores.probability, dtype=np.float64), mask=refused),
        pa.DictionaryArray.from_arrays(tier, list(TIERS)),
        pa.array(np.asarray(scores.points, dtype=np.int32), mask=refused),
        _versions(scores, "model_version", same),
        _versions(scores, "policy_version", same),
        pa.array(scores.decision_id, pa.string(), mask=refused) if scores.named else _ids(scores.ids, rows, refused),
        warnings,
        error,
        detail,
    ]
    if scores.reasons is None:
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
    words: list[str | None] = [None] * rows
    for row, ranked in scores.reasons.items():
        if row not in scores.refused:
            words[row] = scores.reasoning.in_short(ranked)
    for row, score in scores.stood.items():
        words[row] = " ".join(f"{reason.code}:{reason.contribution}" for reason in score.reasons or ()) or None
    return pa.RecordBatch.from_arrays([*columns, pa.array(words, pa.string())], schema=EXPLAINED_SCHEMA)


def _versions(scores: Scores, name: str, same: Any) -> Any:
    """A column that is the same in every row, but for rows that were decided before."""
    version = getattr(scores, name)
    if not scores.stood:
        return pa.DictionaryArray.from_arrays(same, [version])
    versions = [getattr(scores.stood[row], name) if row in scores.stood else version for row in range(len(scores))]
    return pa.array(versions, _WORD, mask=pc.is_null(same).to_numpy(zero_copy_only=False))


def _ids(text: str, rows: int, refused: npt.NDArray[np.bool_]) -> Any:
    """The column of ids around the text that they are in, without a Python object for each."""
    present = pa.array(~refused).buffers()[1] if refused.any() else None
    offsets = pa.py_buffer(np.arange(0, ID_LENGTH * rows + 1, ID_LENGTH, dtype=np.int32))
    return pa.Array.from_buffers(pa.string(), rows, [present, offsets, pa.py_buffer(text.encode())])


def _sparse(rows: int, given: Mapping[int, Sequence[ScoreWarning | Problem]]) -> Any:
    words: list[str | None] = [None] * rows
    known: dict[int, str] = {}  # most rows have the very same tuple of warnings
    for row, items in given.items():
        text = known.get(id(items))
        if text is None:
            text = known[id(items)] = " ".join(map(_in_short, items))
        words[row] = text
    return pa.array(words, pa.string())


def _in_short(item: ScoreWarning | Problem) -> str:
    return f"{item.field}:{item.code if isinstance(item, ScoreWarning) else item.rule}"
