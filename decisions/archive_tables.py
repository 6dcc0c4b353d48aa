"""The archive's columns in the words of Athena, Redshift and Glue, written into the files of deploy/analytics.

python -m decisions.archive_tables      # after another preprocessing/schema.py
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from decisions.archive_columns import SCHEMA

FOLDER = Path(__file__).parent.parent / "deploy" / "analytics"
_HIVE = {
    pa.string(): "string",
    pa.float64(): "double",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.timestamp("ms"): "timestamp",
    pa.list_(pa.string()): "array<string>",
}
_REDSHIFT = {
    pa.string(): "varchar(65535)",
    pa.float64(): "double precision",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.timestamp("ms"): "timestamp",
    pa.list_(pa.string()): "super",
}


class File(NamedTuple):
    """Where columns stand in a file: after the line that ends in `begin`, up to the one that begins with `end`."""

    name: str
    begin: str
    end: str
    columns: Callable[[], list[str]]


def _sql(quote: str, types: dict[pa.DataType, str]) -> list[str]:
    lines = [f"    {quote}{field.name}{quote} {types[field.type]}," for field in SCHEMA]
    return [*lines[:-1], lines[-1].rstrip(",")]


FILES = (
    File("athena.sql", "decisions (", ")", lambda: _sql("`", _HIVE)),
    File("redshift.sql", "decisions (", ")", lambda: _sql('"', _REDSHIFT)),
    File(
        "stream.yaml",
        "          Columns:",
        "          SerdeInfo:",
        lambda: [f'            - {{ Name: {field.name}, Type: "{_HIVE[field.type]}" }}' for field in SCHEMA],
    ),
)


def with_columns(file: File) -> str:
    """The file's text with the columns that the archive has now."""
    lines = (FOLDER / file.name).read_text().splitlines()
    begin = next(place for place, line in enumerate(lines) if line.endswith(file.begin))
    end = next(place for place, line in enumerate(lines) if place > begin and line.startswith(file.end))
    return "\n".join([*lines[: begin + 1], *file.columns(), *lines[end:]]) + "\n"


def main() -> None:
    for file in FILES:
        (FOLDER / file.name).write_text(with_columns(file))


if __name__ == "__main__":
    main()
