"""CSV line by line: as many rows as lines, whatever is in them, and no line costs another anything."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.encode import FIELDS
from preprocessing.fields import Category
from preprocessing.lines import LONGEST_LINE, LineByLine
from preprocessing.tables import has_csv_header, read_csv
from tests.generated import EXAMPLE, valid_applications

GOOD = ",".join(str(value) for value in EXAMPLE.values()).encode()
QUOTED = ",".join(f'"{value}"' for value in EXAMPLE.values()).encode()

# of the bytes that mean something to a CSV reader, and a few others
damaged = st.lists(st.sampled_from([b'"', b",", b"\r", b"a", b"1", b" ", b"\xff", b"\x00", b"\xc3\xa4"])).map(b"".join)
lines = st.lists(st.just(GOOD) | st.just(QUOTED) | damaged, min_size=1, max_size=12)


def verdicts(body: bytes) -> list[bool]:
    """Of each row, whether it is refused."""
    batches = list(read_csv(io.BytesIO(body), by_line=True))
    return [row in batch.refused for batch in batches for row in range(len(batch.matrix))]


@given(lines)
def test_every_line_is_a_row_and_good_ones_stay_good(given_lines: list[bytes]) -> None:
    # a line that ends in a carriage return ends in a line break of two characters, and is what stands before it
    refused = verdicts(b"\n".join(given_lines) + b"\n")
    assert refused == [line.removesuffix(b"\r") not in (GOOD, QUOTED) for line in given_lines]


def test_a_line_longer_than_any_application_is_one_row_wherever_it_is_cut() -> None:
    for length in (LONGEST_LINE - 1, LONGEST_LINE, 2**18 - 1, 2**18, 2**18 + 1, 3 * 2**18 + 7):
        for last in (b"", b"\n", b"\n" + GOOD):
            body = GOOD + b"\n" + b"x" * length + last
            assert verdicts(body) == [False, True, *[False] * last.count(GOOD)]


def test_sound_text_passes_as_it_is() -> None:
    body = b"\r\n".join([GOOD, QUOTED, GOOD]) + b"\r\n"
    reader, heard = LineByLine(io.BytesIO(body)), b""
    while chunk := reader.read(7):
        heard += chunk
    assert heard == body


def test_many_lines_across_blocks_keep_their_places() -> None:
    many = [GOOD, b'"', GOOD, QUOTED] * 20_000
    assert verdicts(b"\n".join(many)) == [line == b'"' for line in many]


@given(valid_applications)
def test_codes_mean_the_words_that_they_stand_for(application: dict[str, object]) -> None:
    words, codes = [], []
    for field in FIELDS:
        value = application.get(field.name)
        words.append("" if value is None else str(value))
        if isinstance(field.kind, Category) and isinstance(value, str):
            value = field.kind.codes[value]
        codes.append("nan" if value is None else str(value))
    [in_words] = read_csv(io.BytesIO(",".join(words).encode() + b"\n"))
    [in_codes] = read_csv(io.BytesIO(",".join(codes).encode() + b"\n"))
    assert np.array_equal(in_words.matrix, in_codes.matrix, equal_nan=True)
    assert in_words.refused.keys() == in_codes.refused.keys() == set()


def test_a_header_is_told_from_a_record() -> None:
    assert has_csv_header(io.BytesIO(",".join(EXAMPLE).encode()))
    assert not any(has_csv_header(io.BytesIO(body)) for body in (GOOD, b"", b"a\rb", b'"', b"\xff"))
