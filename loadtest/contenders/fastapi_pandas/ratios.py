"""The columns and the derived ratios; a module of its own, since the pickled pipeline refers to it by name."""

import pandas as pd

WORDS = ["home", "records", "job"]
NUMBERS = ["seniority", "time", "age", "expenses", "income", "assets", "debt", "amount", "price"]


def add_ratios(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(
        instalment=table["amount"] / table["time"],
        loan_to_price=table["amount"] / table["price"],
        price_to_income=table["price"] / (table["income"] + 1),
        amount_to_income=table["amount"] / (table["income"] + 1),
        burden=table["expenses"] / (table["income"] + 1),
        debt_to_assets=table["debt"] / (table["assets"] + 1),
    )
