"""Five tables that no lender has, each unlike the others: what `model.adopt` is shown in its test and its document.

    python -m loadtest.adopt_tables phones applications.csv     # its label is `outcome`, and `lost` is bad

The same name gives the same file. Verdicts are drawn from probabilities, so that there is something to learn and
something that nobody can know.
"""

import argparse
import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[Any]
Numbers = npt.NDArray[np.float64]
_SEED = 11


class Made(NamedTuple):
    """A table's columns, and how the file is written; `label` and `bad` are what `model.adopt` is to be told."""

    columns: Mapping[str, Cells]
    label: str
    bad: str
    delimiter: str = ","
    language: str = "en"  # in which it is written


def _verdicts(random: np.random.Generator, margin: Numbers, bad: str, good: str) -> Cells:
    return np.where(random.random(margin.size) < 1 / (1 + np.exp(-margin)), bad, good).astype(object)


def _without(random: np.random.Generator, cells: Cells, share: float, mark: str = "") -> Cells:
    return np.where(random.random(len(cells)) < share, mark, cells.astype(str).astype(object))


def _phones(random: np.random.Generator, rows: int) -> Made:
    """Phones sold by instalments: few fields, headers as people write them, a column that is known only afterwards."""
    price = np.round(random.lognormal(6.2, 0.5, rows), 2)
    months = random.choice([6, 12, 18, 24], rows)
    age = random.integers(18, 75, rows)
    paid = random.binomial(12, 0.85, rows)
    contract = random.choice(["prepaid", "monthly", "business"], rows, p=[0.3, 0.6, 0.1])
    before = random.choice(["Yes", "yes", "Y", "TRUE", "1", "no", "No", "N", "FALSE", "0"], rows)
    is_known = np.isin(before, ["Yes", "yes", "Y", "TRUE", "1"])
    margin = -1.4 + 0.9 * (np.log(price) - 6.2) + 0.05 * (months - 12) - 0.45 * (paid - 10) - 0.8 * is_known
    margin += np.where(contract == "prepaid", 0.7, np.where(contract == "business", -0.5, 0.0))
    outcome = _verdicts(random, margin, "lost", "paid")
    columns: dict[str, Cells] = {
        "Order No": np.array([f"P-{number:07d}" for number in random.permutation(rows)], dtype=object),
        "Ordered": np.array([f"2025-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in range(rows)], dtype=object),
        "Price (EUR)": np.array([f"{value:,.2f}" for value in price], dtype=object),
        "Instalment Months": months,
        "Age": age,
        "Contract Type": contract,
        "Customer before?": before,
        "paidOnTime": _without(random, paid, 0.08),
        "Country": np.full(rows, "AT", dtype=object),
        "Reminders after loss": np.where(outcome == "lost", random.integers(1, 4, rows), 0),
        "outcome": outcome,
    }
    return Made(columns, "outcome", "lost")


def _tractors(random: np.random.Generator, rows: int) -> Made:
    """Farm machines: decimals with a comma, semicolons, words that are no identifiers, verdicts as numbers."""
    hectares = random.lognormal(3.5, 0.8, rows)
    value = random.lognormal(11, 0.5, rows)
    share = random.uniform(0, 0.5, rows)
    crop = random.choice(["Weizen", "Mais", "Wein", "Hopfen", "Gemüse"], rows, p=[0.4, 0.3, 0.1, 0.05, 0.15])
    used = random.choice(["neu", "gebraucht"], rows)
    hours = np.where(used == "neu", 0, random.integers(200, 9000, rows))
    margin = -1.7 - 0.7 * (np.log(hectares) - 3.5) + 0.6 * (np.log(value) - 11) - 3 * (share - 0.25) + hours / 9000
    margin += np.array([{"Weizen": 0, "Mais": 0.1, "Wein": -0.4, "Hopfen": 1.2, "Gemüse": 0.5}[word] for word in crop])
    columns: dict[str, Cells] = {
        "Fläche in ha": _with_comma(hectares, 1),
        "Wert": np.array([f"{n:,.2f}".translate(str.maketrans(",.", ".,")) + " €" for n in value], dtype=object),
        "Anzahlung": np.array([f"{100 * one:.1f}".replace(".", ",") + " %" for one in share], dtype=object),
        "Hauptfrucht": _without(random, crop, 0.05, "?"),
        "Zustand": used,
        "class": hours,
        "Familienstand": random.choice(["ledig", "verheiratet", "verwitwet"], rows),
        "ausgefallen": _verdicts(random, margin, "1", "0"),
    }
    return Made(columns, "ausgefallen", "1", ";", "de")


def _with_comma(values: Numbers, digits: int) -> Cells:
    return np.array([f"{value:.{digits}f}".replace(".", ",") for value in values], dtype=object)


def _shops(random: np.random.Generator, rows: int) -> Made:
    """Credit lines of small shops: five fields, all numbers, hardly a header, rows without a verdict yet."""
    raw = random.normal(0, 1, (rows, 5))
    margin = -1 + 0.9 * raw[:, 0] - 0.8 * raw[:, 1] + 0.6 * raw[:, 2] * raw[:, 3] + 0.5 * np.abs(raw[:, 4])
    columns: dict[str, Cells] = {f"x{place}": np.round(10 * raw[:, place], 2) for place in range(5)}
    verdict = _verdicts(random, margin, "yes", "no")
    return Made({**columns, "default": _without(random, verdict, 0.04, "NaN")}, "default", "yes")


def _homes(random: np.random.Generator, rows: int) -> Made:
    """Mortgages: fields of all kinds, many words, numbers that mean missing, booleans, protected ones."""
    columns: dict[str, Cells] = {}
    margin = np.full(rows, -1.6)
    for place in range(18):
        values = random.lognormal(place % 5, 0.6, rows)
        margin = margin + (0.5 if place < 6 else 0) * (-1) ** place * (np.log(values) - place % 5)
        columns[f"amount_{place}_usd"] = _without(random, np.round(values, 3), 0.1 if place % 3 == 0 else 0)
    for place in range(10):
        flag = random.random(rows) < 0.3
        margin = margin + (0.6 if place < 3 else 0) * flag
        columns[f"has_{place}"] = flag.astype(int) if place % 2 else np.where(flag, "true", "false")
    for place, count in enumerate((3, 8, 20, 60)):
        which = random.integers(0, count, rows)
        margin = margin + random.normal(0, 0.5, count)[which]
        columns[f"kind_{place}"] = np.array([f"k{number}" for number in range(count)])[which]
    months = random.integers(0, 200, rows)
    margin = margin - 0.006 * months
    columns["months_at_address"] = np.where(random.random(rows) < 0.1, -999, months)
    columns["gender"] = random.choice(["f", "m", "x"], rows, p=[0.49, 0.49, 0.02])
    columns["zip"] = random.integers(10000, 99999, rows).astype(str)
    columns["occupation"] = np.array([f"occupation {number}" for number in random.integers(0, 3000, rows)])
    return Made({**columns, "went": _verdicts(random, margin, "bad", "good")}, "went", "bad")


def _bureau(random: np.random.Generator, rows: int) -> Made:
    """A credit bureau's export: three hundred fields of which some thirty say something, many mostly missing."""
    columns: dict[str, Cells] = {"customer_id": np.arange(700_000, 700_000 + rows)}
    margin = np.full(rows, -1.4)
    for place in range(300):
        if place % 10 == 9:
            words = random.integers(0, 4, rows)
            margin = margin + (random.normal(0, 0.5, 4)[words] if place < 100 else 0)
            columns[f"v{place:03d}"] = np.array(["A", "B", "C", "D"])[words]
            continue
        values = random.normal(0, 1, rows) if place % 2 else random.poisson(2, rows).astype(float)
        centred = (values - values.mean()) / values.std()
        margin = margin + (random.choice([-0.35, 0.35]) * centred if place < 25 else 0)
        columns[f"v{place:03d}"] = _without(random, np.round(values, 3), (0, 0, 0.2, 0.6)[place % 4])
    return Made({**columns, "bad_12m": _verdicts(random, margin, "1", "0")}, "bad_12m", "1")


TABLES: Mapping[str, Callable[[np.random.Generator, int], Made]] = {
    "shops": _shops,
    "tractors": _tractors,
    "phones": _phones,
    "homes": _homes,
    "bureau": _bureau,
}


def made(name: str, rows: int) -> Made:
    """The table of that name."""
    return TABLES[name](np.random.default_rng(_SEED), rows)


def write(made: Made, path: Path, rows: slice = slice(None)) -> None:
    """Writes the table, or some of its rows, as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=made.delimiter, lineterminator="\n")
        writer.writerow(made.columns)
        writer.writerows(zip(*(column[rows].tolist() for column in made.columns.values()), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.adopt_tables", description="Write an invented table.")
    parser.add_argument("name", choices=TABLES)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=4000)
    arguments = parser.parse_args()
    table = made(arguments.name, arguments.rows)
    write(table, arguments.path)
    print(f"{arguments.path}: {arguments.rows:,} rows; LABEL={table.label} BAD={table.bad}")  # noqa: T201


if __name__ == "__main__":
    main()
