"""A table that nobody has described → a starter schema and features for it, a model, its report, and what is undecided.

    python -m model.adopt applications.csv --label status --bad bad --force
    python -m model.adopt applications.csv --label status --bad bad --out folder    # only the two files, there

Reads CSV or Parquet; of a long table some rows, drawn at random, so that time and memory stay bounded. It never looks
at the schema that is there, and trains in a process of its own, which binds to the new one.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from model import adopt_write
from model.adopt_columns import Column, LeftOut, Measured, Worded, judge
from model.adopt_signal import Bad
from model.arguments import count
from model.cells import tidy, verdicts
from model.errors import TrainingDataError
from model.source import FEWEST_OF_A_CLASS, Source, columns_of, read, require_file
from preprocessing.channels.spelling import MEANS, plain
from preprocessing.errors import RisklineError
from preprocessing.fields import UNKNOWN_UNIT

ROOT = Path(__file__).parents[1]
PLACE = Path("preprocessing")
MOST_ROWS, MOST_CELLS = 200_000, 5_000_000
FEW_ROWS = 500  # of which the validation split has a hundred, and a tier needs thirty of them
NAMED = 6  # a line names this many columns and counts the rest


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.adopt", description="Write a schema for a table, and train.")
    parser.add_argument("table", type=Path, help="CSV or Parquet of labelled applications")
    parser.add_argument("--label", help="column with the verdict")
    parser.add_argument("--bad", help="the verdict that counts as risk")
    parser.add_argument("--force", action="store_true", help="replace preprocessing/schema.py and features.py")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the files there, and do not train")
    parser.add_argument("--cv-seeds", type=count, default=1, help="rounds of 5-fold AUC; 0 leaves it out")
    arguments = parser.parse_args()
    try:
        folder = arguments.out or ROOT / PLACE
        source = _source(arguments.table)
        labels, bad_word, bad = _labels(source, arguments.label, arguments.bad)
        rows = np.flatnonzero(labels)
        table = source.table.drop_columns([arguments.label]).take(pa.array(rows))
        columns, left_out = judge(table, source.numbers[rows], bad)
        _say(_found(arguments.table, source, bad, columns, left_out))
        if not columns:
            raise TrainingDataError("no column is left that an application could have")
        texts = {
            "schema.py": adopt_write.schema(arguments.table.name, arguments.label, bad_word, columns, left_out),
            "features.py": adopt_write.FEATURES,
        }
        _write(folder, texts, arguments.force)
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    train = ["model.train", "--data", str(arguments.table), "--nearest-targets"]
    train += ["--skip-unlabelled"] if bad.size < source.numbers.size else []
    train += ["--most-rows", str(source.numbers.size)] if source.numbers.size < source.rows else []
    trained = arguments.out is not None or _trained(train, arguments.cv_seeds)
    _say(undecided(folder, columns, left_out, int(source.numbers.size - bad.size), int(bad.size)))
    again = "train again" if arguments.out is None else f"move both to {PLACE} and train"
    _say(f"Then {again}: python -m {shlex.join(train)}")
    if not trained:
        sys.exit("riskline: the two files are written, but no model was trained: see above")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _source(path: Path) -> Source:
    require_file(path, "CSV=")
    names = columns_of(path)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TrainingDataError(f"column {twice[0]!r} comes more than once: give each column a name of its own")
    return read(path, min(MOST_ROWS, max(MOST_CELLS // len(names), 1)))


def _labels(source: Source, label: str | None, bad: str | None) -> tuple[list[bool], str, Bad]:
    """Which rows have a verdict, the spelling that counts as risk, and of those rows which are bad."""
    names = source.table.column_names
    if label is None or label not in names:
        said = "name the column with the verdict" if label is None else f"there is no column {label!r} for the verdict"
        two = [name for name in names if len(_verdicts(source, name)[1]) == 2]
        hint = f"these hold two verdicts: {_named(two)}" if two else f"the columns are {_named(names)}"
        raise TrainingDataError(f"{said} with LABEL= (or --label); {hint}")
    said_by_row, known = _verdicts(source, label)
    if len(known) != 2:
        raise TrainingDataError(
            f"column {label!r} must hold two verdicts; it holds {len(known)}: {_named(map(repr, known), 5)}. Leave out "
            f"the rows of applications that have none yet, or say with another column which went bad"
        )
    if bad is None or (word := _same(bad, known)) is None:
        said = "say which verdict" if bad is None else f"{bad!r} is no verdict of column {label!r}: say which"
        raise TrainingDataError(f"{said} counts as risk with BAD= (or --bad): {' or '.join(map(repr, known))}")
    is_bad = np.array([verdict == word for verdict in said_by_row if verdict is not None])
    if min(is_bad.sum(), (~is_bad).sum()) < FEWEST_OF_A_CLASS:
        raise TrainingDataError(
            f"{int(is_bad.sum())} bad and {int((~is_bad).sum())} other applications are too few to train on: "
            f"each needs {FEWEST_OF_A_CLASS}"
        )
    return [verdict is not None for verdict in said_by_row], word, is_bad


def _verdicts(source: Source, label: str) -> tuple[list[str | None], list[str]]:
    """What each row's verdict is, None for none, and which there are."""
    try:
        texts = source.table[label].cast(pa.string()).to_pylist()
    except pa.ArrowException:  # lists, say
        return [], []
    meant = verdicts({text for text in texts if text is not None})
    return [None if text is None else meant.get(text) for text in texts], sorted(set(meant.values()))


def _same(bad: str, known: Sequence[str]) -> str | None:
    """The verdict that is spelled so, or nearly so, or means yes as that does."""
    ways: list[Callable[[str], object]] = [str, tidy, lambda text: plain(text.removesuffix(".0"))]
    ways.append(lambda text: MEANS.get(plain(text.removesuffix(".0")), text))
    for way in ways:
        if len(same := [verdict for verdict in known if way(verdict) == way(bad)]) == 1:
            return same[0]
    return None


def _found(path: Path, source: Source, bad: Bad, columns: Sequence[Column], left_out: Sequence[LeftOut]) -> str:
    used = (
        f", of which {source.numbers.size:,} drawn at random are looked at" if source.numbers.size < source.rows else ""
    )
    lines = [
        f"{path.name}: {source.rows:,} rows{used}; {int(bad.sum()):,} of {bad.size:,} applications are bad "
        f"({bad.mean():.1%})",
        f"{len(columns)} of {len(columns) + len(left_out)} columns become fields"
        + ("; the others do not:" if left_out else ""),
    ]
    lines += [f"  {_named([one.source])}: {one.why}" for one in left_out[:20]]
    return "\n".join(lines + ([f"  … and {len(left_out) - 20} more"] if len(left_out) > 20 else []))


def _write(folder: Path, texts: dict[str, str], force: bool) -> None:
    paths = [folder / name for name in texts]
    if (there := [path for path in paths if path.exists()]) and not force:
        raise TrainingDataError(
            f"{_paths(there)} would be replaced: say so with FORCE=1 (--force), or name a folder for the two "
            f"files with OUT= (--out). Nothing was written"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainingDataError(f"{folder} cannot be written to: {error.strerror}") from None
    _say(f"Wrote {_paths(paths)}")


def _paths(paths: Iterable[Path]) -> str:
    return " and ".join(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path) for path in paths)


def _trained(train: Sequence[str], cv_seeds: int) -> bool:
    """Trains and writes the report in processes that read the new schema; whether both went well."""
    for command in ([*train, "--cv-seeds", str(cv_seeds)], ["model.report", "--no-open"]):
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:  # noqa: S603 - our own programs
            return False
    return True


def undecided(folder: Path, columns: Sequence[Column], left_out: Sequence[LeftOut], unlabelled: int, rows: int) -> str:
    """What a person must still decide in the two files of `folder`, in ten lines."""
    numbers = [(column.source, column.is_as) for column in columns if isinstance(column.is_as, Measured)]
    unknown = [c.source for c in columns if isinstance(c.is_as, Measured) and not adopt_write.unit_of(c)]
    words = [column.source for column in columns if isinstance(column.is_as, Worded)]
    kept = [column.source for column in columns if adopt_write.is_kept_from_model(column)]
    aged = [column.source for column in columns if adopt_write.is_of_a_person(column)]
    proposed = [
        f"{column.source} {'up' if column.is_as.direction > 0 else 'down'}"
        for column in columns
        if isinstance(column.is_as, Measured) and column.is_as.direction and not adopt_write.is_kept_from_model(column)
    ]
    strong = sorted((column for column in columns if column.auc >= 0.8), key=lambda column: -column.auc)
    lines = [
        f"Units that are still {UNKNOWN_UNIT!r}: {_named(unknown)}",
        f"Bounds are what was seen, with room: say what is possible ({len(numbers)} fields)",
        f"Words have their spelling for a label and the order of their bad rates: {_named(words)}",
        f"Protected, and kept from the model: {_named(kept)}; compared by age: {_named(aged)}. Is that all?",
        f"Left out: {_named(one.source for one in left_out)}. Would a channel know them before the verdict?",
        f"Known before the verdict? Much is told by each of: {_named(f'{c.source} (AUC {c.auc:.2f})' for c in strong)}",
        f"Directions proposed, with which the risk may only go: {_named(proposed)}",
        f"May be missing, as seen: {_named(c.source for c in columns if c.may_be_missing)}; all others are required. "
        f"A number that means missing? {_named(name for name, seen in numbers if seen.missing_as is not None)}",
        "No features are derived: which ratios matter? And what can an applicant change (change=), in which words?",
        _enough(unlabelled, rows),
    ]
    numbered = [f"{number:>3}. {line}" for number, line in enumerate(lines, start=1)]
    return "\n".join([f"A person must still decide, in {_paths([folder / 'schema.py'])} and features.py:", *numbered])


def _enough(unlabelled: int, rows: int) -> str:
    left = f"{unlabelled:,} rows have no verdict and were left out; were those applicants unlike the others? "
    few = f"{rows:,} applications are few: tiers and measures may be chance"
    return (left if unlabelled else "") + (
        few if rows < FEW_ROWS else f"Are these {rows:,} applications like next year's?"
    )


def _named(names: Iterable[str], most: int = NAMED) -> str:
    """Some names for a sentence, and how many more there are."""
    every = [" ".join(name.split()) or "(without a name)" for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more if every else "none"


if __name__ == "__main__":
    main()
