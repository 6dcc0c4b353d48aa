"""The benchmark's applications as columns: bodies for Arrow, Parquet and CSV, large files, and columnar answers read.

The only file of the load test that talks to pyarrow.
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from loadtest.traffic import Values
from preprocessing.encode import FIELDS, MODEL_FIELDS
from preprocessing.features import derive
from preprocessing.fields import Category, Field, Number

Codes = npt.NDArray[np.float64]
BLOCK_ROWS = 500_000
SEED = 7
_MODEL_COLUMNS = [index for index, field in enumerate(FIELDS) if field in MODEL_FIELDS]


def codes(applications: Sequence[Values]) -> Codes:
    """(rows, len(FIELDS)) float64: numbers as they are, words as their index, NaN for what is missing."""
    rows = [[_code(field, application.get(field.name)) for field in FIELDS] for application in applications]
    return np.array(rows, dtype=np.float64)


def _code(field: Field, value: float | str | None) -> float:
    if isinstance(value, str) and isinstance(field.kind, Category):
        return field.kind.codes[value]
    return float("nan") if value is None else float(value)


def matrix(values: Codes) -> npt.NDArray[np.float32]:
    """The graph's input: the columns of `codes` that the model is given, as float32."""
    return np.ascontiguousarray(values[:, _MODEL_COLUMNS], dtype=np.float32)


def features(values: Codes) -> npt.NDArray[np.float32]:
    """What the trees see: the graph's input and the derived features beside it."""
    given = matrix(values)
    derived: npt.NDArray[np.float32] = derive(given)
    return np.concatenate([given, derived], axis=1)


def table(values: Codes) -> Any:
    """Codes → an Arrow table as a caller would have it: whole numbers as integers, words as text, nulls for missing."""
    return pa.table({field.name: _column(values[:, index], field.kind) for index, field in enumerate(FIELDS)})


def _column(column: npt.NDArray[np.float64], kind: Number | Category) -> Any:
    missing = np.isnan(column)
    if isinstance(kind, Category):
        index = pa.array(np.nan_to_num(column).astype(np.int32), mask=missing)
        return pa.DictionaryArray.from_arrays(index, list(kind.values)).dictionary_decode()
    return pa.array(np.nan_to_num(column).astype(np.int64) if kind.whole else column, mask=missing)


def rendered(columns: Any, content_type: str) -> bytes:
    """The table as a body of one of the columnar media types."""
    target = io.BytesIO()
    if content_type == "text/csv":
        pyarrow.csv.write_csv(columns, target, pyarrow.csv.WriteOptions(quoting_style="needed"))
    elif content_type == "application/x-parquet":
        pyarrow.parquet.write_table(columns, target)
    else:
        with pyarrow.ipc.new_stream(target, columns.schema) as stream:
            stream.write_table(columns)
    return target.getvalue()


def probabilities(content_type: str, body: bytes) -> list[float]:
    """The scores in an answer of any contender, in order; ValueError where the answer is none that is known."""
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == "application/json":
            return _of_json(json.loads(body))
        if media_type == "application/jsonlines":
            return [float(json.loads(line)["probability"]) for line in body.splitlines()]
        return [float(probability) for probability in _read(media_type, body)["probability"].to_pylist()]
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"no scores in an answer of type {media_type or 'none'} ({type(error).__name__})") from None


def _of_json(answer: Any) -> list[float]:
    if isinstance(answer, dict) and "outputs" in answer:  # the V2 protocol
        return [float(probability) for probability in answer["outputs"][0]["data"]]
    if isinstance(answer, dict) and "results" in answer:
        answer = answer["results"]
    rows = answer if isinstance(answer, list) else [answer]
    return [float(row["probability"]) for row in rows]


def _read(media_type: str, body: bytes) -> Any:
    source = io.BytesIO(body)
    if media_type == "text/csv":
        return pyarrow.csv.read_csv(source)
    if media_type == "application/x-parquet":
        return pyarrow.parquet.read_table(source)
    return pyarrow.ipc.open_stream(source).read_all()


def blocks(applications: Codes, rows: int) -> Iterator[Codes]:
    """Made-up applications, a block at a time and the same every time: real ones with other amounts.

    Without other amounts a column would have a few hundred values, and Parquet would be read faster than in earnest.
    """
    random = np.random.default_rng(SEED)
    amounts = [
        (index, field.kind)
        for index, field in enumerate(FIELDS)
        if isinstance(field.kind, Number) and not field.kind.whole
    ]
    for start in range(0, rows, BLOCK_ROWS):
        block = applications[random.integers(len(applications), size=min(BLOCK_ROWS, rows - start))]
        for index, kind in amounts:
            other = np.round(block[:, index] * random.uniform(0.9, 1.1, size=len(block)), 2)
            block[:, index] = np.clip(other, kind.low, kind.high)
        yield block


def write_parquet(applications: Codes, rows: int, path: Path) -> None:
    with pyarrow.parquet.ParquetWriter(path, table(applications[:0]).schema) as writer:
        for block in blocks(applications, rows):
            writer.write_table(table(block))


def scored_rows(path: Path) -> int:
    """The rows of a Parquet file of scores; ValueError where a score is missing."""
    column = pyarrow.parquet.read_table(path, columns=["probability"])["probability"]
    if column.null_count:
        raise ValueError(f"{column.null_count:,} of {len(column):,} rows have no score")
    return len(column)
