"""Every decoder with bytes that nobody should send: rows or one of Riskline's own errors come out, and nothing else.

What once came out otherwise stands as an example above the test that found it.
"""

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtest.hostile_files import ARROW, BOMBS, NUMBER, PARQUET, WORD, arrow, parquet, table
from preprocessing.decode import decode_application, decode_batch, decode_lines
from preprocessing.encode import Batch
from preprocessing.errors import RisklineError
from preprocessing.json_columns import read_batch, read_lines
from preprocessing.tables import read_arrow, read_csv, read_parquet
from preprocessing.unpacked import LARGEST_MESSAGE, LARGEST_PAGE
from serving.formats import FORMATS, LINES, lines_of
from serving.outcomes import OUTCOME_FORMATS, add_outcomes
from tests.generated import EXAMPLE, anything, doubtful_applications

MOST_ROWS = 10_000
CHILD_GIB = 1.5
CHILD_MIB = 320  # of which the libraries are 130
seeded = settings(max_examples=150, derandomize=True)

# JSON texts that json.dumps would not write, as values and as what may stand for one
odd_values = st.sampled_from(
    ["NaN", "-Infinity", "1e999", "-0", "9" * 400, "9" * 5000, "[" * 300, '{"a":' * 150, '"\\ud800"', '"\\u0000"', "01",
     "1.", "+1", "0x1", "'a'", "None", "", "/**/1", "\ufeff1", "\u2028", '"\\x"', "tru", "1_000"]
)  # fmt: skip
odd_names = st.sampled_from(["__proto__", "constructor", "__class__", "", "\u0430ge", "a" * 1000, "\\ud800", 'a\\":1'])
names = st.sampled_from(list(EXAMPLE)) | odd_names | st.text(max_size=5).map(lambda name: str(json.dumps(name))[1:-1])
values = odd_values | (anything | st.floats()).map(json.dumps)


def _object(pairs: Sequence[tuple[str, str]]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


objects = st.lists(st.tuples(names, values), max_size=6).map(_object)
# a good application with a pair before or behind it, which is a name that comes twice more often than not
stretched = st.tuples(names, values).map(lambda pair: _object([*_pairs(), pair])) | st.tuples(names, values).map(
    lambda pair: _object([pair, *_pairs()])
)
texts = stretched | objects | values | doubtful_applications.map(json.dumps)


def _pairs() -> list[tuple[str, str]]:
    return [(name, json.dumps(value)) for name, value in EXAMPLE.items()]


def damaged(body: bytes) -> st.SearchStrategy[bytes]:
    """The body with some bytes exchanged, left out, or put in, or cut short."""

    def apply(cuts: Sequence[tuple[float, int, bytes]]) -> bytes:
        changed = body
        for place, length, instead in cuts:
            at = int(place * len(changed))
            changed = changed[:at] + instead + changed[at + length :]
        return changed

    cut = st.tuples(st.floats(0, 1), st.integers(0, 3) | st.just(len(body)), st.binary(max_size=4))
    return st.lists(cut, min_size=1, max_size=4).map(apply)


def only_our_errors(read: Callable[[], Any]) -> None:
    with contextlib.suppress(RisklineError):
        read()


def drained(batches: Iterator[Batch]) -> int:
    return sum(len(batch.matrix) + len(batch.refused) for batch in batches)


@seeded
@given(body=texts.map(str.encode) | st.binary(max_size=60))
def test_one_application(body: bytes) -> None:
    only_our_errors(lambda: decode_application(body))


@seeded
@given(
    elements=st.lists(texts, max_size=4).map(",".join),
    envelope=st.sampled_from(['{"applications":[%s]}', '{"applications":%s}', "[%s]", '{"applications":[],"x":[%s]}']),
)
def test_a_batch_is_judged_alike_by_records_and_by_columns(elements: str, envelope: str) -> None:
    body = (envelope % elements).encode()
    heard: list[object] = []
    reads: tuple[Callable[[], int], ...] = (
        lambda: len(decode_batch(body, MOST_ROWS)),
        lambda: len(read_batch(body, MOST_ROWS).matrix),
    )
    for read in reads:
        try:
            heard.append(read())
        except RisklineError as error:
            heard.append((error.code, error.message))
    assert heard[0] == heard[1]


@seeded
@given(lines=st.lists(texts.map(str.encode) | st.binary(max_size=40), max_size=5))
def test_json_lines(lines: list[bytes]) -> None:
    assert len(decode_lines(lines)) == len(read_lines(lines).matrix) == len(lines)
    only_our_errors(lambda: drained(FORMATS[LINES].read(io.BytesIO(b"\n".join(lines)), MOST_ROWS)))
    assert len(list(lines_of(io.BytesIO(b"\n".join(lines))))) <= b"\n".join(lines).count(b"\n") + 1


CSV_BODY = "\n".join([",".join(EXAMPLE), *[",".join(map(str, EXAMPLE.values()))] * 4]).encode()
cells = st.sampled_from(["", '"', '""', ",", "\n", "\r", "\0", "nan", "1e999", "-", "\ufeff", "'", "=1+1"])
csv_bodies = (
    damaged(CSV_BODY)
    | st.lists(cells | st.text(max_size=4), max_size=40).map(lambda found: ",".join(found).encode("utf-8", "replace"))
    | st.binary(max_size=80)
)


@example(body=CSV_BODY + b",\xe4,\n", by_line=False)  # pyarrow printed a traceback
@seeded
@given(body=csv_bodies, by_line=st.booleans())
def test_csv(body: bytes, by_line: bool) -> None:
    only_our_errors(lambda: drained(read_csv(io.BytesIO(body), by_line)))


SMALL = table(20)
ARROW_BODIES = [arrow(SMALL), arrow(SMALL, "zstd"), arrow(SMALL, "lz4")]
PARQUET_BODIES = [
    parquet(SMALL),
    parquet(SMALL, compression="gzip", use_dictionary=False, row_group_size=7),
    parquet(SMALL, compression="zstd", data_page_version="2.0", version="1.0"),
]


@seeded
@given(body=st.sampled_from(ARROW_BODIES).flatmap(damaged))
def test_arrow(body: bytes) -> None:
    only_our_errors(lambda: drained(read_arrow(io.BytesIO(body), MOST_ROWS)))


@seeded
@given(body=st.sampled_from(PARQUET_BODIES).flatmap(damaged))
def test_parquet(body: bytes) -> None:
    only_our_errors(lambda: drained(read_parquet(io.BytesIO(body), MOST_ROWS)))


def test_any_byte_of_a_parquet_footer_may_be_wrong() -> None:
    """pyarrow's metadata of a column ended the process where its statistics were damaged."""
    body = PARQUET_BODIES[0]
    footer = int.from_bytes(body[-8:-4], "little")
    for place in range(len(body) - 8 - footer, len(body)):
        changed = bytearray(body)
        changed[place] ^= 1 << place % 8
        only_our_errors(partial(lambda sent: drained(read_parquet(io.BytesIO(sent), MOST_ROWS)), bytes(changed)))


ODD_TYPES = [
    pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal128(38, 10), pa.date32(),
    pa.timestamp("ns", "UTC"), pa.time64("us"), pa.duration("s"), pa.string(), pa.large_string(), pa.string_view(),
    pa.binary(), pa.binary_view(), pa.binary(3), pa.list_(pa.int8()), pa.struct([("a", pa.int8())]),
    pa.map_(pa.string(), pa.int8()), pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.float64()),
    pa.dictionary(pa.int32(), pa.binary()), pa.run_end_encoded(pa.int16(), pa.string()),
    pa.run_end_encoded(pa.int32(), pa.float64()), pa.run_end_encoded(pa.int32(), pa.bool_()),
    pa.run_end_encoded(pa.int32(), pa.date32()),
]  # fmt: skip


def column(type_: pa.DataType, rows: int) -> pa.Array:
    """Some value of the type, and nulls."""
    if pa.types.is_dictionary(type_):
        return pa.DictionaryArray.from_arrays(
            pa.array([0, 1, None] * rows, type_.index_type)[:rows], column(type_.value_type, 3)
        )
    if pa.types.is_run_end_encoded(type_):
        return pa.RunEndEncodedArray.from_arrays(
            pa.array([rows - 1, rows], type_.run_end_type), column(type_.value_type, 2)
        )
    value: Any = None
    for sample in (1, 1.0, "x" * 300, b"abc", True, [1], {"a": 1}, [("a", 1)]):
        with contextlib.suppress(pa.ArrowException, TypeError, ValueError, AttributeError):
            value = pa.scalar(sample, type_).as_py()
            break
    return pa.array(([value, None] * rows)[:rows], type_)


@pytest.mark.parametrize("type_", ODD_TYPES, ids=str)
def test_a_column_of_any_type_is_judged_row_by_row(type_: pa.DataType) -> None:
    for name in (NUMBER, WORD):
        sent = table(6, **{name: column(type_, 6)})
        try:
            batches = list(read_arrow(io.BytesIO(arrow(sent))))
        except RisklineError as error:
            pytest.fail(f"{error.message}: the columns are there")
        assert sum(len(batch.matrix) for batch in batches) == 6


@seeded
@given(
    media_type=st.sampled_from(OUTCOME_FORMATS),
    body=(
        st.tuples(texts, st.sampled_from(['{"outcomes":[%s]}', '{"outcomes":%s}', "%s", "[%s]"])).map(
            lambda found: (found[1] % found[0]).encode()
        )
        | damaged(b'{"outcomes":[{"decision_id":"1","outcome":"good","date":"2026-11-25"}]}')
        | damaged(b"decision_id,outcome,date\n1,good,2026-11-25\n2,bad,2026-11-25\n")
        | st.binary(max_size=60)
    ),
)
def test_outcomes(media_type: str, body: bytes) -> None:
    only_our_errors(lambda: add_outcomes(media_type, body, (100, "a limit"), lambda rows: [True] * len(rows)))


READ_IN_A_CHILD = r"""
import io, json, re, resource, sys
from pathlib import Path
from preprocessing.errors import RisklineError
from preprocessing.tables import read_arrow, read_parquet

read = {"ARROW": read_arrow, "PARQUET": read_parquet}[sys.argv[1]]
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
try:
    said = sum(len(batch.matrix) for batch in read(io.BytesIO(sys.stdin.buffer.read()), 10_000_000))
except RisklineError as error:
    said = error.code
most = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]  # what getrusage says is the parent's too
print(json.dumps([said, int(most) / 1024]))
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_answered_in_bounded_memory(name: str) -> None:
    media_type, made = BOMBS[name]
    body = made()
    assert len(body) < 2**18
    kind = {ARROW: "ARROW", PARQUET: "PARQUET"}[media_type]
    done = subprocess.run(
        [sys.executable, "-c", READ_IN_A_CHILD, kind, str(int(CHILD_GIB * 2**30))],
        input=body, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-500:]
    said, mib = json.loads(done.stdout)
    assert mib < CHILD_MIB
    assert said in (4096, "malformed_body", "batch_too_large", "invalid_batch")


def test_large_bodies_of_good_applications_are_read_from_memory_and_from_disk(tmp_path: Path) -> None:
    rows = 100_000
    sent = table(rows)
    assert sent.nbytes < LARGEST_MESSAGE
    page = parquet(sent, use_dictionary=False, data_page_size=LARGEST_PAGE // 2, compression="zstd")
    for read, body in ((read_arrow, arrow(sent, "zstd")), (read_arrow, arrow(sent)), (read_parquet, page)):
        assert drained(read(io.BytesIO(body), rows)) == rows
        (tmp_path / "body").write_bytes(body)
        with (tmp_path / "body").open("rb") as file:
            assert drained(read(file, rows)) == rows
