"""What a command's arguments may be."""

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from model.arguments import at_least_one, count, share_held_out


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [(count, "0", 0), (count, "17", 17), (at_least_one, "1", 1), (share_held_out, "0.5", 0.5)],
)
def test_what_makes_sense_is_read(read: Callable[[str], float], text: str, expected: float) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("read", "text", "rule"),
    [
        (count, "-1", "it must be a whole number from 0 to"),
        (count, "1.5", "it must be a whole number from 0 to"),
        (count, "9" * 5000, "it must be a whole number from 0 to"),
        (count, "\N{SUPERSCRIPT TWO}", "it must be a whole number from 0 to"),
        (at_least_one, "0", "it must be 1 or more"),
        (share_held_out, "0.51", "it must be from 0 to 0.5"),
        (share_held_out, "nan", "it must be from 0 to 0.5"),
        (share_held_out, "half", "it must be from 0 to 0.5"),
    ],
)
def test_what_makes_none_is_refused_with_the_rule(read: Callable[[str], float], text: str, rule: str) -> None:
    with pytest.raises(ArgumentTypeError, match=rule):
        read(text)
