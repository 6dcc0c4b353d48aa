"""Columns: Arrow record batches → requests, and what is answered as columns beside those that the caller keeps.

Needs pyarrow (`pip install "riskline-client[arrow]"`); the rest of the client does not.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

try:
    import pyarrow as pa
    import pyarrow.ipc
except ImportError:
    raise ImportError('columns need pyarrow: pip install "riskline-client[arrow]"') from None

from riskline_client import calls
from riskline_client.answers import Channel
from riskline_client.pieces import Pieces

MOST_BYTES = 64 * 2**20  # of a request, about: it is held whole on both sides


def pieces(
    batches: Any,
    keep: Sequence[str],
    rows: int,
    explain: bool | None,
    channel: Channel | None,
    key: str | None,
) -> Pieces[Any]:
    """Requests whose answers are tables: for each row, in order, the columns of `keep` and then the service's."""
    key = calls.new_key() if key is None else key

    def call(table: Any, before: int) -> calls.Call[Any]:
        kept = table.select(keep)

        def read(body: bytes) -> Any:
            scores = _read(body)
            if scores.num_rows != table.num_rows:
                raise ValueError(f"has {scores.num_rows} rows for {table.num_rows}")
            for place, name in enumerate(keep):
                scores = scores.add_column(place, table.schema.field(name), kept.column(name))
            return scores

        return calls.predict_columns(_written(table.drop_columns(keep)), read, explain, channel, f"{key}-{before}")

    return Pieces(_tables(_batches_of(batches), rows), rows, call)


def _batches_of(table: Any) -> Any:
    """Those of a table or a record batch, at least one; whatever else it is must be an iterable of record batches."""
    if isinstance(table, pa.RecordBatch):
        return [table]
    if isinstance(table, pa.Table):  # an empty one has none
        return table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    return table


def joined(answers: Sequence[Any]) -> Any:
    """One table of all."""
    return pa.concat_tables(answers).unify_dictionaries()


def _tables(batches: Iterable[Any], rows: int) -> Iterator[Any]:
    """Small batches together, large ones apart, so that a request has `rows` rows and at most about MOST_BYTES."""
    gathered: list[Any] = []
    count = size = 0
    for batch in batches:
        for part in _cut(batch, MOST_BYTES):
            if gathered and (count + part.num_rows > rows or size + part.nbytes > MOST_BYTES):
                yield pa.Table.from_batches(gathered)
                gathered, count, size = [], 0, 0
            gathered.append(part)
            count, size = count + part.num_rows, size + part.nbytes
    if gathered:
        yield pa.Table.from_batches(gathered)


def _cut(batch: Any, most_bytes: int) -> Iterator[Any]:
    length = -(-batch.num_rows // (batch.nbytes // most_bytes + 1)) or 1
    for start in range(0, max(batch.num_rows, 1), length):
        yield batch.slice(start, length)


def _written(table: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _read(body: bytes) -> Any:
    try:
        return pyarrow.ipc.open_stream(body).read_all()
    except pa.ArrowException:
        raise ValueError("is no Arrow stream") from None
