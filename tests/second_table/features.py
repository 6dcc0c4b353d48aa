"""Derived features of the second table. Laid over `preprocessing/features.py` by the test.

Written column by column, with sums, differences and a logarithm: the rest of the project may rely on the names, labels,
sources and directions of `DERIVED` and on what `derive` takes and gives, not on the form of the bundled ratios.
"""

from typing import Any, NamedTuple

from preprocessing.encode import COLUMN
from preprocessing.fields import Direction


class Derived(NamedTuple):
    """A feature that `derive` computes from the fields `sources`; `risk` is the direction the domain demands."""

    name: str
    label: str
    sources: tuple[str, ...]
    risk: Direction


DERIVED = (
    Derived("financed", "List value less deposit", ("list_value", "deposit"), 0),
    Derived("monthly_rate", "Financed per month", ("list_value", "deposit", "lease_months"), 1),
    Derived("age_at_end", "Age of the machine when the lease ends", ("machine_age", "lease_months"), 1),
    Derived("headroom", "Profit less a year's rates", ("profit", "list_value", "deposit", "lease_months"), -1),
    Derived("size", "Logarithm of the employees", ("employees",), 0),
)


def derive(x: Any) -> Any:
    """(rows, fields) float32, columns as in `encode.COLUMN` → (rows, len(DERIVED)) float32; NaN stays NaN."""
    xp = x.__array_namespace__()

    def column(name: str) -> Any:
        return x[:, COLUMN[name] : COLUMN[name] + 1]

    financed = column("list_value") - column("deposit")
    rate = financed / column("lease_months")
    age_at_end = column("machine_age") + column("lease_months") / 12
    headroom = column("profit") - 12 * rate
    size = xp.log(column("employees") + 1)
    return xp.concat([financed, rate, age_at_end, headroom, size], axis=1)
