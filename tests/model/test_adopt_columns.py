"""What becomes of the columns of an unknown table, one oddity at a time."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model import adopt_columns
from model.adopt_columns import Column, LeftOut, Measured, Worded

ROWS = 600
RANDOM = np.random.default_rng(3)
BAD = RANDOM.random(ROWS) < 0.3
Judged = Column | LeftOut


def judged(cells: Any, header: str = "x") -> Judged:
    """What becomes of one column whose cells have nothing to do with the verdict unless a test makes them."""
    columns, left_out = adopt_columns.judge(pa.table({header: cells}), np.arange(1, ROWS + 1), BAD)
    every: list[Judged] = [*columns, *left_out]
    assert len(every) == 1
    return every[0]


def measured(cells: Any, header: str = "x") -> Measured:
    found = judged(cells, header)
    assert isinstance(found, Column), found
    assert isinstance(found.is_as, Measured)
    return found.is_as


def words(cells: Any, header: str = "x") -> tuple[str, ...]:
    found = judged(cells, header)
    assert isinstance(found, Column), found
    assert isinstance(found.is_as, Worded)
    return found.is_as.words


def why(cells: Any, header: str = "x") -> str:
    found = judged(cells, header)
    assert isinstance(found, LeftOut), found
    return found.why


def repeated(cells: Sequence[object]) -> list[object]:
    return [cells[row % len(cells)] for row in range(ROWS)]


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        (["1,200.50", "12,500", "80", "3,000,000.25"], 80, 3_000_000.25),
        (["1.200,50", "12.500", "80,5", "3.000.000,25"], 80.5, 3_000_000.25),
        (["1 200", "12 500", "80", "3 000 000"], 80, 3_000_000),
        (["€ 1.200,-", "12.500 €", "80", "€ 3.000.000"], 80, 3_000_000),
        (["1,200", "12,500", "80", "3,000"], 80, 12_500),
        (["$1,200", "$12,500.00", "$80", "-$5"], -5, 12_500),
        (["0.5", "1e3", "-7", " 12 "], -7, 1000),
    ],
)
def test_numbers_are_read_as_their_column_writes_them(cells: list[str], low: float, high: float) -> None:
    seen = measured(repeated(cells))
    assert (seen.low, seen.high) == (low, high)


def test_numbers_that_may_be_read_in_two_ways_are_no_field() -> None:
    cells = [
        f"{1 + row % 999},{row % 1000:03d}" if row % 2 else f"{1 + row % 999}.{row % 10}.000" for row in range(ROWS)
    ]
    assert why([*cells[:-2], "1,5", "1.5"])


def test_what_stands_behind_every_number_is_its_unit() -> None:
    assert measured(repeated(["12.5 %", "3 %", "99.1%"])).unit == "%"
    assert measured(repeated([1, 2, 3]), "term_months").unit == "months"
    assert measured(repeated([1, 2, 3]), "term").unit == ""


@pytest.mark.parametrize(
    ("header", "unit"),
    [("Laufzeit in Monaten", "months"), ("Einkommen (€)", "EUR"), ("Rate %", "%"), ("Fee [£]", "GBP"), ("€ a day", "")],
)
def test_a_header_may_end_in_its_unit(header: str, unit: str) -> None:
    assert measured(repeated([1, 2, 3]), header).unit == unit


@pytest.mark.parametrize("absent", ["", "NaN", "n/a", "?", "-", "null", "None", "k.A.", "keine Angabe", None])
def test_what_means_nothing_is_a_missing_number(absent: str | None) -> None:
    found = judged(repeated(["1", "2.5", absent]))
    assert isinstance(found, Column)
    assert isinstance(found.is_as, Measured)
    assert found.may_be_missing


def test_a_few_cells_that_are_no_numbers_are_named_by_their_rows_and_never_repeated() -> None:
    cells = [str(row * 1.5) for row in range(ROWS)]
    cells[41] = cells[99] = "castle"
    assert why(cells) == "holds numbers, but not in rows 42, 100"


def test_few_numbers_with_a_word_among_them_are_words_and_many_are_named_by_their_rows() -> None:
    assert set(words([str(row % 4) if row % 20 else "4 or more" for row in range(ROWS)])) == {*"0123", "4 or more"}
    assert why([str(row % 60) if row != 41 else "castle" for row in range(ROWS)]) == "holds numbers, but not in row 42"


def test_truth_in_five_spellings_is_yes_and_no() -> None:
    assert words(repeated(["yes", "No", "TRUE", "false", "Y", "n", "1", "0", "ja", "nein"])) == ("no", "yes")
    assert words(repeated([True, False, None])) == ("no", "yes")
    assert words(repeated(["t", "f", "True", "FALSE"])) == ("no", "yes")


def test_truth_in_one_spelling_keeps_it() -> None:
    assert words(repeated(["Y", "N", "N"])) == ("N", "Y")


def test_zero_and_one_are_numbers_from_zero_to_one() -> None:
    assert measured(repeated([0, 1, 1])).unit == "0 or 1"


def test_spellings_that_differ_in_case_and_spaces_are_one_word() -> None:
    assert sorted(words(repeated(["rent", "Rent", "rent ", "rent", "owner", "RENT"]))) == ["owner", "rent"]


def test_words_come_in_the_order_of_their_bad_rates() -> None:
    cells = np.where(BAD & (np.arange(ROWS) % 3 > 0), "a", np.where(~BAD & (np.arange(ROWS) % 3 > 0), "b", "c"))
    assert words(cells) == ("b", "c", "a")


def test_thousands_of_words_are_no_closed_list() -> None:
    cells = [f"word {number}" for number in RANDOM.integers(0, 400, ROWS)]
    assert "different words: group them into at most 100 first" in why(cells)


def test_long_texts_are_no_words() -> None:
    assert why([f"{row} " + "because " * 20 for row in range(ROWS)]) == "holds texts"


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        ([f"AT-{row:06d}" for row in range(ROWS)], "contract"),
        (list(range(70_000, 70_000 + 3 * ROWS, 3)), "x"),  # in the file's order
        (RANDOM.permutation(ROWS).tolist(), "x"),  # counted through
        (RANDOM.choice(10**9, ROWS, replace=False).tolist(), "customer_id"),
    ],
)
def test_what_names_an_applicant_is_left_out(cells: list[object], header: str) -> None:
    assert why(cells, header) == "seems to name an applicant or a row"


def test_many_different_amounts_name_nobody() -> None:
    assert measured(RANDOM.integers(1_000, 90_000, ROWS)).high < 90_000
    assert measured(RANDOM.lognormal(3, 1, ROWS)).low > 0


@pytest.mark.parametrize(
    "cells",
    [
        ["2024-01-31", "2024-02-29T10:00:00"],
        ["31.01.2024", "1.2.24"],
        ["01/31/2024", "02/01/2024"],
        ["Jan-2024", "Mar-2023"],
        [20240131, 20231201],
        [date(2024, 1, 31), date(2023, 5, 1)],
    ],
)
def test_a_date_is_left_out_with_what_to_do(cells: list[object]) -> None:
    assert why(repeated(cells)) == "is a date or a time: hand over how long ago it was instead"


def test_a_column_that_never_changes_or_never_says_anything_is_left_out() -> None:
    assert why(["AT"] * ROWS) == why([7] * ROWS) == "is always the same"
    assert why([""] * ROWS) == why([None] * ROWS) == why([float("nan")] * ROWS) == "is always empty"
    assert words(repeated(["flagged", ""])) == ("flagged",)


@pytest.mark.parametrize(
    "cells",
    [
        np.where(BAD, RANDOM.integers(1, 500, ROWS), 0),
        np.where(BAD, RANDOM.integers(1, 500, ROWS), 0).astype(str),
        np.where(BAD, "written off", "settled"),
        np.where(BAD, RANDOM.choice(["agency", "court"], ROWS), ""),
        np.where(BAD, np.nan, RANDOM.normal(0, 1, ROWS)),
    ],
)
def test_a_column_that_tells_the_verdict_by_itself_is_left_out(cells: Any) -> None:
    assert "tells the verdict by itself" in why(cells)


def test_a_column_that_tells_much_stays_and_says_how_much() -> None:
    found = judged(BAD + RANDOM.normal(0, 0.5, ROWS))
    assert isinstance(found, Column)
    assert 0.8 < found.auc < adopt_columns.LEAKS


def test_numbers_that_no_float_should_hold_are_left_out() -> None:
    assert "beyond" in why(repeated([1.0, 1e300, 5.0]))
    assert "beyond" in why(repeated([1.0, float("inf"), 5.0]))


def test_lists_are_left_out() -> None:
    assert "neither numbers nor words" in why([[1], [2]] * (ROWS // 2))


@pytest.mark.parametrize(("cells", "expected"), [([-999, 3, 8, 12], -999), ([0, 3, 8, 12], None), ([99, 3, 8], 99)])
def test_a_number_that_may_mean_missing_is_told(cells: list[int], expected: float | None) -> None:
    assert measured(repeated(cells)).missing_as == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (lambda: BAD + RANDOM.normal(0, 1, ROWS), 1),
        (lambda: RANDOM.normal(0, 1, ROWS) - BAD, -1),
        (lambda: RANDOM.normal(0, 1, ROWS), 0),
        (lambda: np.where(BAD, RANDOM.choice([-3, 3], ROWS), 0) + RANDOM.normal(0, 1, ROWS), 0),
    ],
)
def test_a_direction_is_proposed_where_the_bad_rate_keeps_to_it(shape: Callable[[], Any], expected: int) -> None:
    assert measured(shape()).direction == expected
