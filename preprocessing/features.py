"""Derived features: one array-API function, written once.

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


DERIVED = (
    Derived("instalment", "Instalment per month", "amount", "time", 0, 0),
    Derived("loan_to_price", "Loan to price", "amount", "price", 0, 1),
    Derived("price_to_income", "Price to income", "price", "income", 1, 1),
    Derived("amount_to_income", "Amount to income", "amount", "income", 1, 1),
    Derived("burden", "Expenses to income", "expenses", "income", 1, 1),
    Derived("debt_to_assets", "Debt to assets", "debt", "assets", 1, 1),
)


def derive(x: Any) -> Any:
    """(rows, fields) float32, columns as in `encode.COLUMN` → (rows, len(DERIVED)) float32; NaN stays NaN.

    Takes any array of the array API: NumPy's in tests, ndonnx's when it is traced.
    """
    xp = x.__array_namespace__()
    over = xp.take(x, xp.asarray([COLUMN[ratio.over] for ratio in DERIVED]), axis=1)
    under = xp.take(x, xp.asarray([COLUMN[ratio.under] for ratio in DERIVED]), axis=1)
    return over / (under + xp.asarray([[ratio.floor for ratio in DERIVED]], dtype=xp.float32))
