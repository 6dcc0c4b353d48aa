"""The bodies that a batch may come and go in, by media type: how each is read into batches and written from scores.

    application/json  application/jsonlines  text/csv  application/vnd.apache.arrow.stream  application/x-parquet

All but JSON are read and written as a stream, block by block. pyarrow is imported by the first body that needs it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from preprocessing.encode import Batch
from preprocessing.json_columns import read_batch, read_lines
from serving.answers import json_rows
from serving.errors import NotAcceptable, UnsupportedMediaType
from serving.scorer import Scores

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
SYNONYMS = {
    "application/x-ndjson": LINES,
    "application/vnd.apache.parquet": "application/x-parquet",
}
_LINES_AT_ONCE = 1024
_LONGEST_LINE = 65_536


def _read_json(source: BinaryIO, most_rows: int) -> Iterator[Batch]:
    yield read_batch(source.read(), most_rows)


def _write_json(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:  # noqa: ARG001
    rows = [row for scores in answers for row in json_rows(scores)]
    target.write(f'{{"results":[{",".join(rows)}]}}'.encode())


def _read_json_lines(source: BinaryIO, most_rows: int) -> Iterator[Batch]:  # noqa: ARG001
    lines = (line for raw in lines_of(source) if (line := raw.strip()))
    while block := list(islice(lines, _LINES_AT_ONCE)):
        yield read_lines(block)


def _read_every_json_line(source: BinaryIO, most_rows: int) -> Iterator[Batch]:  # noqa: ARG001
    lines = (raw.strip() for raw in lines_of(source))
    while block := list(islice(lines, _LINES_AT_ONCE)):
        yield read_lines(block)


def lines_of(source: BinaryIO) -> Iterator[bytes]:
    """The lines, one that is longer than any application cut off, so that it is refused as no JSON."""
    while line := source.readline(_LONGEST_LINE):
        rest = line
        while len(rest) == _LONGEST_LINE and not rest.endswith(b"\n"):
            rest = source.readline(_LONGEST_LINE)
        yield line


def _write_json_lines(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:  # noqa: ARG001
    for scores in answers:
        target.write("".join([row + "\n" for row in json_rows(scores)]).encode())


def _read_csv(source: BinaryIO, most_rows: int) -> Iterator[Batch]:  # noqa: ARG001
    from preprocessing.tables import read_csv

    return read_csv(source)


def _read_every_csv_line(source: BinaryIO, most_rows: int) -> Iterator[Batch]:  # noqa: ARG001
    from preprocessing.tables import read_csv

    return read_csv(source, by_line=True)


def _write_csv(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:
    from serving.tables import write_csv

    write_csv(answers, target, explained)


def _write_csv_without_header(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:
    from serving.tables import write_csv

    write_csv(answers, target, explained, header=False)


def _read_arrow(source: BinaryIO, most_rows: int) -> Iterator[Batch]:
    from preprocessing.tables import read_arrow

    return read_arrow(source, most_rows)


def _write_arrow(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:
    from serving.tables import write_arrow

    write_arrow(answers, target, explained)


def _read_parquet(source: BinaryIO, most_rows: int) -> Iterator[Batch]:
    from preprocessing.tables import read_parquet

    return read_parquet(source, most_rows)


def _write_parquet(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:
    from serving.tables import write_parquet

    write_parquet(answers, target, explained)


class Format(NamedTuple):
    """`read` gives the batches of a body one by one, `write` writes the answers, of which it must know beforehand
    whether they are explained; JSON alone is held whole.

    `read` holds a body to the limit of rows where it tells them beforehand; every body is held to it while it is read.
    """

    media_type: str
    read: Callable[[BinaryIO, int], Iterator[Batch]]
    write: Callable[[Iterable[Scores], BinaryIO, bool], None]


FORMATS = {
    format_.media_type: format_
    for format_ in (
        Format(JSON, _read_json, _write_json),
        Format(LINES, _read_json_lines, _write_json_lines),
        Format(CSV, _read_csv, _write_csv),
        Format("application/vnd.apache.arrow.stream", _read_arrow, _write_arrow),
        Format("application/x-parquet", _read_parquet, _write_parquet),
    )
}

# The same where every line of a request has a line of the answer, whatever is in it
_LINE_BY_LINE = {
    LINES: FORMATS[LINES]._replace(read=_read_every_json_line),
    CSV: FORMATS[CSV]._replace(read=_read_every_csv_line),
}


def line_by_line(sent: Format, wanted: Format, header: bool = False) -> tuple[Format, Format]:
    """Both formats, so that every line is a record; `header`: whether an answer in CSV begins with one."""
    if wanted.media_type == CSV and not header:
        wanted = wanted._replace(write=_write_csv_without_header)
    return _LINE_BY_LINE.get(sent.media_type, sent), wanted


def has_header(body: BinaryIO) -> bool:
    """Whether a body of CSV begins with field names."""
    from preprocessing.tables import has_csv_header

    return has_csv_header(body)


def format_of(content_type: str | None, offered: Collection[str] = FORMATS) -> Format:
    """The format of a request's body; none named is JSON. UnsupportedMediaType if it is not `offered`."""
    if content_type is None:
        return FORMATS[JSON]
    media_type, charset = _parsed(content_type)
    media_type = SYNONYMS.get(media_type, media_type)
    if media_type not in offered or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType(f"the Content-Type must be {_one_of(offered)}; text must be UTF-8")
    return FORMATS[media_type]


def is_bulk(content_type: bytes) -> bool:
    """Whether the body is of a format that is read as a stream, and so has limits of its own."""
    media_type, _ = _parsed(content_type.decode("latin-1"))
    return SYNONYMS.get(media_type, media_type) in FORMATS.keys() - {JSON}


def format_accepted(accept: str | None, sent: Format) -> Format:
    """The answer's format: the first of `Accept` that we offer, by default the request's own; else NotAcceptable."""
    if accept is None:
        return sent
    for part in sorted(accept.split(","), key=_quality, reverse=True):
        pattern = SYNONYMS.get(_parsed(part)[0], _parsed(part)[0])
        for offered in (sent.media_type, *FORMATS):
            if pattern in (offered, "*/*", offered.split("/")[0] + "/*") and _quality(part) > 0:
                return FORMATS[offered]
    raise NotAcceptable(f"Accept must allow {_one_of(FORMATS)}")


def prefers(accept: str | None, media_type: str, other: str) -> bool:
    """Whether an `Accept` header would rather have `media_type` than `other`, which goes to whoever has no wish."""
    if accept is None:
        return False
    wishes = {_parsed(part)[0]: _quality(part) for part in accept.split(",")}

    def wish(wanted: str) -> float:
        return next((wishes[of] for of in (wanted, wanted.split("/")[0] + "/*", "*/*") if of in wishes), 0.0)

    return wish(media_type) > wish(other)


def _one_of(media_types: Collection[str]) -> str:
    return ("one of " if len(media_types) > 1 else "") + ", ".join(media_types)


def _parsed(header: str) -> tuple[str, str]:
    """A media type in lower case and its charset, if it names one (RFC 9110)."""
    media_type, *parameters = header.lower().split(";")
    charset = next((p.strip()[len("charset=") :] for p in parameters if p.strip().startswith("charset=")), "")
    return media_type.strip(), charset.strip('"')


def _quality(part: str) -> float:
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
