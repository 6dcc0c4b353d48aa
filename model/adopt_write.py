"""Columns that become fields → the text of `schema.py` and `features.py`, with a mark where a person must decide."""

import json
import math
from collections.abc import Sequence

from model.adopt_columns import Column, LeftOut, Measured, Worded
from model.adopt_names import is_age, is_protected, is_proxy, label_of
from preprocessing.channels.spelling import plain
from preprocessing.fields import UNKNOWN_UNIT

AGES = (25, 40, 62)  # edges of the groups that are compared; from 62 one is elderly in Regulation B (12 CFR 1002.2(o))
_WIDTH = 120
_ROOM = 2  # times what was seen
_YEARS = (1900, 2100)

_SCHEMA = '''\
"""The application: the one place, with `features.py`, that knows the fields of the table being served.

Written by `python -m model.adopt` from {file}. What a person must decide is marked with
`decide`, what follows from the data alone with `proposed`; labels are the table's own headers and words.
"""
{silenced}
from typing import Annotated

from preprocessing.fields import ApplicationModel{kinds}

LABEL = {label}  # the training table's column with the verdict …
BAD = {bad}  # … and the verdict that counts as risk
{left_out}


class Application(ApplicationModel):
    """An application, as a channel collects it."""

{fields}
'''

FEATURES = '''\
"""Derived features: one array-API function, written once. Here it derives none yet.

Training and export both trace it into ONNX, so it never runs as Python in the service. It works on slices of the whole
matrix instead of column by column: every ONNX node costs about a microsecond on a single application.
"""

from typing import Any, NamedTuple

from preprocessing.encode import COLUMN
from preprocessing.fields import Direction


class Derived(NamedTuple):
    """A ratio of two fields: over / (under + floor). `floor` keeps a field that may be 0 out of the denominator."""

    name: str
    label: str
    over: str
    under: str
    floor: float
    risk: Direction  # the direction the domain demands, as in the schema

    @property
    def sources(self) -> tuple[str, ...]:
        """The fields that it is computed from: equal parts of its contribution to a score are theirs."""
        return self.over, self.under


# decide: which ratios matter? A line for each, as in
#     Derived("debt_ratio", "Debt to income", "total_debt", "yearly_income", 1, 1),
DERIVED: tuple[Derived, ...] = ()


def derive(x: Any) -> Any:
    """(rows, fields) float32, columns as in `encode.COLUMN` → (rows, len(DERIVED)) float32; NaN stays NaN.

    Takes any array of the array API: NumPy's in tests, ndonnx's when it is traced.
    """
    xp = x.__array_namespace__()
    over = xp.take(x, xp.asarray([COLUMN[ratio.over] for ratio in DERIVED], dtype=xp.int64), axis=1)
    under = xp.take(x, xp.asarray([COLUMN[ratio.under] for ratio in DERIVED], dtype=xp.int64), axis=1)
    return over / (under + xp.asarray([[ratio.floor for ratio in DERIVED]], dtype=xp.float32))
'''


def schema(file: str, label: str, bad: str, columns: Sequence[Column], left_out: Sequence[LeftOut]) -> str:
    """The text of `schema.py`, formatted as ruff does."""
    kinds = {"Category" if isinstance(column.is_as, Worded) else "Number" for column in columns}
    left = "".join(f"    {quoted(one.source)},  # {_one_line(one.why)}\n" for one in left_out)
    text = _SCHEMA.format(
        file=_one_line(file).replace("\\", "/").replace('"', "'"),
        silenced="{silenced}",
        kinds="".join(f", {kind}" for kind in sorted(kinds)),
        label=quoted(label),
        bad=quoted(bad),
        left_out="# columns of the training table that are no part of an application\nLEFT_OUT: tuple[str, ...] = "
        + (f"(\n{left})" if left else "()"),
        fields="\n".join(map(_field, columns)),
    )
    own = "".join([label, bad, *(one.source for one in left_out), *map(_field, columns)])
    rules = ["E501"] * _is_wide(text) + ["RUF001", "RUF003", "RUF100"] * (not own.isascii())
    silenced = f"\n# ruff: noqa: {', '.join(rules)} - names and words are the table's own\n" if rules else ""
    return text.replace("{silenced}", silenced, 1).replace("\n\n\nfrom typing", "\n\nfrom typing", 1)


def is_kept_from_model(column: Column) -> bool:
    """Whether the field is written as protected, until a person says otherwise."""
    return is_protected(column.source) and not is_age(column.source)


def is_of_a_person(column: Column) -> bool:
    """Whether it is a person's age, which is given to the model and compared by groups."""
    return is_age(column.source) and isinstance(column.is_as, Measured) and column.is_as.high > AGES[0]


def _is_wide(text: str) -> bool:
    return any(len(line) > _WIDTH for line in text.splitlines())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _field(column: Column) -> str:
    is_as = column.is_as
    kind, type_, lines = (
        ("Number", "float", _number(column, is_as))
        if isinstance(is_as, Measured)
        else ("Category", "str", _words(is_as))
    )
    lines = [f"label={quoted(label_of(column.source))},", *lines]
    if is_kept_from_model(column):
        lines.append("protected=True,  # decide: it sounds like what the law protects, so the model is not given it")
    elif is_proxy(column.source):
        lines[0] += "  # decide: may it tell an applicant's origin? Then protected=True"
    if plain(column.source) != plain(column.name):
        also = f"also=({quoted(column.source)},),"
        lines += [also] if len(also) + 12 <= _WIDTH else ["also=(", f"    {quoted(column.source)},", "),"]
    example = _written(is_as.example) if isinstance(is_as, Measured) else quoted(is_as.example)
    lines.append(f"example={example},")
    arguments = "\n".join(" " * 12 + line for line in lines)
    # nobody needs to say what the model is not told
    missing = (" | None", " = None") if column.may_be_missing or is_kept_from_model(column) else ("", "")
    return (
        f"    {column.name}: Annotated[\n        {type_}{missing[0]},\n        {kind}(\n{arguments}\n        ),\n"
        f"    ]{missing[1]}"
    )


def _number(column: Column, seen: Measured) -> list[str]:
    low, high = bounds(seen)
    lines = [
        f"unit={quoted(unit)}," if (unit := unit_of(column)) else f'unit="{UNKNOWN_UNIT}",  # decide: counted in what?',
        f"low={_written(low)},  # decide: what is possible? Seen were {_written(seen.low)} to {_written(seen.high)}",
        f"high={_written(high)},",
    ]
    if seen.unit == "0 or 1":
        lines[1] = lines[1].partition("  #")[0]
    if seen.missing_as is not None:
        lines[2] += f"  # decide: does {_written(seen.missing_as)} mean that the value is missing? Then leave it empty"
    if seen.whole:
        lines.append("whole=True,")
    if seen.direction and not is_kept_from_model(column):
        moves = "rises" if seen.direction > 0 else "falls"
        lines.append(f"risk={seen.direction},  # proposed: the bad rate {moves} with it; decide whether it must")
    if is_of_a_person(column):
        lines.append(f"groups={AGES},  # decide: which ages are compared? The model is given it")
    return lines


def unit_of(column: Column) -> str:
    """The unit of a column of numbers; "" where nobody has told."""
    told = column.is_as.unit if isinstance(column.is_as, Measured) else ""
    return told or ("years" if is_of_a_person(column) else "")


def bounds(seen: Measured) -> tuple[float, float]:
    """What was seen, with room: no number is refused for being somewhat beyond it."""
    if seen.unit == "0 or 1":
        return 0, 1
    if seen.low == round(seen.low) and _YEARS[0] <= seen.low and seen.high <= _YEARS[1]:
        return _YEARS
    return -_room(-seen.low) if seen.low < 0 else 0, _room(seen.high)


def _room(seen: float) -> float:
    """The next of 1, 2, 5, 10, … that is twice as much or more; 0 for none."""
    if seen <= 0:
        return 0
    power = 10.0 ** math.floor(math.log10(seen * _ROOM))
    found = next(step * power for step in (1, 2, 5, 10, 20) if step * power >= seen * _ROOM)
    return float(f"{found:.1g}")


def _words(seen: Worded) -> list[str]:
    order = "  # in the order of their bad rates; decide: what do they mean?"
    words = [f"    {quoted(word)}: {quoted(_one_line(word.replace('_', ' ')))}," for word in seen.words]
    return ["values={" + order, *words, "},"]


def quoted(text: str) -> str:
    """The text as a literal, in the quotes that ruff would choose."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    if text.count('"') <= text.count("'"):
        return f'"{inside}"'
    inside = inside.replace('\\"', '"').replace("'", "\\'")
    return f"'{inside}'"


def _written(number: float) -> str:
    if number != round(number):
        number = float(f"{number:.6g}")
    if number != round(number):
        return repr(number)
    return f"{int(number):_}" if abs(number) >= 10_000 else str(int(number))
