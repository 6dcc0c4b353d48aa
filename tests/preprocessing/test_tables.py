"""Columnar bodies as files: right ones, odd ones, broken ones."""

import contextlib
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from preprocessing.decode import decode_application
from preprocessing.encode import Batch, encode
from preprocessing.errors import BatchTooLarge, InvalidApplication, InvalidBatch, MalformedBody, RisklineError
from preprocessing.tables import BLOCK_ROWS, read_arrow, read_csv, read_parquet
from tests.generated import CATEGORY, EXAMPLE, NUMBER

Read = Callable[[BinaryIO], Iterator[Batch]]
ROW = ",".join(str(value) for value in EXAMPLE.values())
HEADER = ",".join(EXAMPLE)


def together(batches: Iterator[Batch]) -> Batch:
    matrices = [encode([]).matrix]
    refused: dict[int, InvalidApplication] = {}
    rows = 0
    for batch in batches:
        refused |= {rows + row: error for row, error in batch.refused.items()}
        rows += len(batch.matrix)
        matrices.append(batch.matrix)
    return Batch(np.concatenate(matrices), refused)


def empty_rows(batch: Batch) -> list[int]:
    return [int(row) for row in np.flatnonzero(np.isnan(batch.matrix).all(axis=1))]


def csv(text: str | bytes) -> Batch:
    return together(read_csv(io.BytesIO(text.encode() if isinstance(text, str) else text)))


def rules(batch: Batch) -> dict[int, list[tuple[str, str]]]:
    return {row: [(p.field, p.rule) for p in error.detail] for row, error in batch.refused.items()}


def arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    return sink.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, **options)
    return sink.getvalue()


def test_the_header_is_optional_and_may_be_in_any_order() -> None:
    expected = encode(decode_application(json.dumps(EXAMPLE).encode())).matrix
    backwards = ",".join(reversed(HEADER.split(","))) + "\n" + ",".join(reversed(ROW.split(",")))
    for text in (
        ROW,
        f"\ufeff{HEADER}\n{ROW}\n",
        f"{ROW}\n",
        f"{HEADER}\n{ROW}\n",
        f"{HEADER}\r\n{ROW}\r\n",
        backwards,
    ):
        np.testing.assert_array_equal(csv(text).matrix, expected)


def test_quotes_and_newlines_in_cells_are_read_as_csv_has_them() -> None:
    quoted = ",".join(f'"{value}"' for value in EXAMPLE.values())
    text = f"{HEADER}\n{quoted}\n{ROW.replace('rent', chr(34) + 're' + chr(10) + 'nt' + chr(34))}\n{ROW}\n"
    batch = csv(text)
    assert len(batch.matrix) == 3
    assert rules(batch) == {1: [("home", "category")]}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("wrong", [[0], [1], [3], [0, 1, 2, 3], [0, 3], [2, 3]])
def test_a_row_of_another_width_keeps_its_place(header: bool, wrong: list[int]) -> None:
    if not header and wrong[0] == 0:
        return  # the first row tells how many columns there are
    lines = [ROW + ",more" if number in wrong else ROW for number in range(4)]
    batch = csv("\n".join([HEADER, *lines] if header else lines) + "\n")
    assert len(batch.matrix) == 4
    assert rules(batch) == {number: [("", "columns")] for number in wrong}
    assert empty_rows(batch) == wrong


def test_wrong_rows_keep_their_places_over_many_blocks() -> None:
    wrong = {0: "columns", 4095: "range", 4096: "columns", 4097: "columns", 9000: "range", 19_999: "columns"}
    broken = {"columns": "1,2,3", "range": ROW.replace("9,", "-1,", 1)}
    lines = [broken[wrong[number]] if number in wrong else ROW for number in range(20_000)]
    batch = csv("\n".join([HEADER, *lines]))
    assert len(batch.matrix) == 20_000
    assert {row: rule[0][1] for row, rule in rules(batch).items()} == wrong
    assert len(batch.matrix) > 2 * BLOCK_ROWS


def test_a_first_line_that_names_no_field_is_told_what_it_lacks() -> None:
    with pytest.raises(MalformedBody, match=r"the first line names no field, .* separated by commas, not 1"):
        csv(HEADER.replace(",", ";") + "\n")


def test_a_file_with_a_header_alone_has_no_rows() -> None:
    assert len(csv(HEADER + "\n").matrix) == 0


@pytest.mark.parametrize(
    "text", ["", "\n", "a,b\n1,2\n", "1,2,3\n", b"\xff\xfe", ROW.encode() + b"\n\xff" + ROW.encode()[1:], b"\x00" * 50]
)
def test_what_is_no_csv_of_applications_is_refused(text: str | bytes) -> None:
    with pytest.raises(MalformedBody):
        csv(text)


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(InvalidBatch) as caught:
        csv(f"{HEADER},shoe_size\n{ROW},44\n")
    assert [(p.field, p.rule) for p in caught.value.detail] == [("shoe_size", "unknown")]


def test_an_error_never_quotes_the_file() -> None:
    secret = "1234567.875"
    for text in (f"{HEADER}\n{ROW},{secret}\n", f'{HEADER}\n"{secret}', f"{secret},2\n"):
        try:
            said = repr(csv(text).refused)
        except RisklineError as error:
            said = repr((error.message, error.detail))
        assert secret not in said


TABLE = pa.Table.from_pylist([EXAMPLE, {**EXAMPLE, NUMBER.name: -1}] * 3000)


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (read_arrow, arrow(TABLE)),
        (read_parquet, parquet(TABLE)),
        (read_parquet, parquet(TABLE, row_group_size=700, compression="gzip", use_dictionary=False)),
    ],
)
def test_arrow_and_parquet_are_read_in_blocks_with_every_row_in_its_place(read: Read, body: bytes) -> None:
    blocks = list(read(io.BytesIO(body)))
    assert max(len(block.matrix) for block in blocks) <= BLOCK_ROWS
    batch = together(iter(blocks))
    assert sorted(batch.refused) == list(range(1, 6000, 2))
    assert empty_rows(batch) == list(range(1, 6000, 2))


@pytest.mark.parametrize(("read", "body"), [(read_arrow, arrow(TABLE)), (read_parquet, parquet(TABLE))])
def test_a_file_cut_short_is_refused(read: Read, body: bytes) -> None:
    for length in (0, 1, 7, len(body) // 2, len(body) - 9):
        with pytest.raises(MalformedBody, match="the body is not a valid"):
            together(read(io.BytesIO(body[:length])))


@pytest.mark.parametrize(("read", "body"), [(read_arrow, arrow(TABLE)), (read_parquet, parquet(TABLE))])
def test_a_file_with_flipped_bytes_gives_rows_or_an_error_of_ours(read: Read, body: bytes) -> None:
    chance = random.Random(1)
    for _ in range(150):
        damaged = bytearray(body)
        for _ in range(chance.choice((1, 3, 20))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with contextlib.suppress(RisklineError):  # anything else fails the test
            together(read(io.BytesIO(bytes(damaged))))


def test_a_parquet_file_that_would_fill_the_memory_is_refused_by_what_it_declares() -> None:
    rows = pa.Table.from_pylist([EXAMPLE] * 8)
    words = pa.array(["x" * 1_000_000] * 8)
    rows = rows.set_column(rows.schema.names.index(CATEGORY.name), CATEGORY.name, words)
    bomb = parquet(rows, use_dictionary=False, compression="zstd")
    assert len(bomb) < 200_000
    with pytest.raises(MalformedBody, match="unpack to far more"):
        together(read_parquet(io.BytesIO(bomb)))


def test_a_long_word_in_place_of_every_number_is_refused_before_it_is_repeated() -> None:
    table = pa.Table.from_pylist([EXAMPLE] * 4096)
    words = pa.array(["x" * 150_000] * 4096)
    bomb = parquet(table.set_column(table.schema.names.index(NUMBER.name), NUMBER.name, words))
    assert len(bomb) < 200_000
    with pytest.raises(InvalidBatch) as caught:
        together(read_parquet(io.BytesIO(bomb)))
    assert [(p.field, p.rule) for p in caught.value.detail] == [(NUMBER.name, "type")]


def test_a_parquet_file_that_declares_too_many_rows_is_refused_before_any_is_read() -> None:
    body = parquet(TABLE)
    assert sum(len(block.matrix) for block in read_parquet(io.BytesIO(body), most_rows=6000)) == 6000
    with pytest.raises(BatchTooLarge, match="6000 applications; the limit is 5999"):
        next(read_parquet(io.BytesIO(body), most_rows=5999))
