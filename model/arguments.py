"""What the options of a command may be; argparse says in a line what is wrong with any other."""

from argparse import ArgumentTypeError

MOST_HELD_OUT = 0.5
_MOST = 2**31 - 1


def count(text: str) -> int:
    """How many, from 0."""
    if not text.isdecimal() or len(text) > len(str(_MOST)) or int(text) > _MOST:
        raise ArgumentTypeError(f"it must be a whole number from 0 to {_MOST}")
    return int(text)


def at_least_one(text: str) -> int:
    """How many, from 1."""
    if not (found := count(text)):
        raise ArgumentTypeError("it must be 1 or more")
    return found


def share_held_out(text: str) -> float:
    """A share of the applications that a run does not look at."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= MOST_HELD_OUT:
        raise ArgumentTypeError(f"it must be from 0 to {MOST_HELD_OUT}")
    return share
