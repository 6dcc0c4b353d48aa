"""Invents the second table's labelled applications: the same file at every run.

    python tests/second_table/applications.py FILE.csv

Whether a lease is written off is drawn from a probability that follows what the schema says of risk, so that there is
something to learn and something that nobody can know.
"""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 2_500
SEED = 20
# the share of applications in which an optional field was left empty
MISSING = {
    "director_born": 0.1,
    "sector": 0.03,
    "ownership": 0.2,
    "employees": 0.05,
    "profit": 0.12,
    "equity_ratio": 0.18,
}


def columns() -> dict[str, npt.NDArray[Any]]:
    """Column name → (ROWS,) values as they stand in the file, "" for missing; the label comes last."""
    random = np.random.default_rng(SEED)
    machine = random.choice(
        ["forklift", "excavator", "tractor", "lathe", "press", "scanner"], ROWS, p=[0.3, 0.22, 0.2, 0.14, 0.08, 0.06]
    )
    usual_value = {"forklift": 28, "excavator": 110, "tractor": 90, "lathe": 65, "press": 140, "scanner": 320}
    list_value = np.round([usual_value[word] for word in machine] * random.lognormal(0, 0.35, ROWS), 1)
    deposit = np.round(list_value * random.choice([0, 0.1, 0.2, 0.3], ROWS, p=[0.2, 0.3, 0.3, 0.2]), 1)
    machine_age = np.round(np.minimum(random.exponential(2.5, ROWS), 25), 1)
    lease_months = random.choice([24, 36, 48, 60, 72], ROWS, p=[0.1, 0.25, 0.35, 0.2, 0.1])
    sector = random.choice(["building", "farming", "industry", "haulage", "health"], ROWS)
    history = random.choice(["spotless", "late", "dunned", "insolvent"], ROWS, p=[0.6, 0.25, 0.1, 0.05])
    employees = np.floor(random.lognormal(2.5, 1.0, ROWS))
    profit = np.round((employees + 2) * random.normal(6, 6, ROWS), 1)
    equity_ratio = np.round(np.clip(random.normal(0.25, 0.2, ROWS), -0.6, 0.9), 2)

    rates = 12 * (list_value - deposit) / lease_months
    wear = machine_age + lease_months / 12
    harm = {"spotless": 0.0, "late": 0.9, "dunned": 2.0, "insolvent": 3.0}
    margin = (
        -1.6
        + np.array([harm[word] for word in history])
        - 1.4 * np.tanh((profit - rates) / 60)
        - 4.0 * (equity_ratio - 0.25)
        + 0.25 * (wear - 6)
        + 0.5 * (sector == "building")
    )
    written_off = random.random(ROWS) < 1 / (1 + np.exp(-margin))

    table: dict[str, npt.NDArray[Any]] = {
        "payment_history": history,
        "machine": machine,
        "machine_age": machine_age,
        "list_value": list_value,
        "deposit": deposit,
        "lease_months": lease_months,
        "sector": sector,
        "employees": employees.astype(np.int64),
        "profit": profit,
        "equity_ratio": equity_ratio,
        "director_born": random.integers(1945, 2000, ROWS),
        "ownership": random.choice(["women", "men", "mixed"], ROWS),
    }
    for name, share in MISSING.items():
        table[name] = np.where(random.random(ROWS) < share, "", table[name].astype(str))
    table["course"] = np.where(written_off, "written_off", "paid_out")
    return table


def write(path: Path) -> None:
    table = columns()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
