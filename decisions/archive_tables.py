"""The archive's columns in the words of Athena, Redshift and Glue, written into the files of deploy/analytics.

python -m decisions.archive_tables      # after another preprocessing/schema.py
"""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from decisions.archive_columns import SCHEMAS

FOLDER = Path(__file__).parent.parent / "deploy" / "analytics"
_HIVE = {
    pa.string(): "string",
    pa.float64(): "double",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.timestamp("ms"): "timestamp",
    pa.date32(): "date",
    pa.list_(pa.string()): "array<string>",
}
_REDSHIFT = _HIVE | {
    pa.string(): "varchar(65535)",
    pa.float64(): "double precision",
    pa.int32(): "integer",
    pa.list_(pa.string()): "super",
}


class File(NamedTuple):
    """Where a dataset's columns stand in a file: after the line that ends in `begin`, up to one that begins with `end`.
    `column` is a format for one of them; the last one goes without a comma."""

    name: str
    begin: str
    end: str
    column: str
    types: dict[pa.DataType, str]


FILES = (
    File("athena.sql", " {} (", ")", "    `{}` {},", _HIVE),
    File("redshift.sql", " {} (", ")", '    "{}" {},', _REDSHIFT),
    File("stream.yaml", "Columns: # {}", "          SerdeInfo:", '            - {{ Name: {}, Type: "{}" }}', _HIVE),
)


def with_columns(file: File) -> str:
    """The file's text with the columns that the archive has now."""
    lines = (FOLDER / file.name).read_text().splitlines()
    for dataset, schema in SCHEMAS.items():
        begin = next(place for place, line in enumerate(lines) if line.endswith(file.begin.format(dataset)))
        end = next(place for place, line in enumerate(lines) if place > begin and line.startswith(file.end))
        columns = [file.column.format(field.name, file.types[field.type]) for field in schema]
        lines[begin + 1 : end] = [*columns[:-1], columns[-1].rstrip(",")]
    return "\n".join(lines) + "\n"


def main() -> None:
    for file in FILES:
        (FOLDER / file.name).write_text(with_columns(file))


if __name__ == "__main__":
    main()
