"""What became of decisions, in bulk: outcomes as JSON, JSON Lines or CSV, and an answer row by row in the same.

    application/json         {"outcomes": [{"decision_id": …, "outcome": "good", "date": "2026-11-25"}, …]}
    application/jsonlines    such an object a line
    text/csv                 these three columns under a header

Outcomes are taken some at a time, so a body of any size needs little memory. A row that is wrong costs only itself.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, Literal, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from decisions.review import Outcome
from preprocessing.errors import BatchTooLarge, InvalidBatch, MalformedBody, Problem, RisklineError
from serving.bodies import Body, as_file, new_file, whole
from serving.errors import ErrorAnswer, InvalidRequest
from serving.formats import CSV, JSON, LINES, lines_of

OUTCOME_FORMATS = (JSON, LINES, CSV)
_AT_ONCE = 512  # in one transaction, so that others wait for milliseconds only
_COLUMNS = tuple(Outcome.model_fields)
_ANSWER_COLUMNS = ("decision_id", "result", "error", "detail")

Row = Outcome | RisklineError
Result = bool | RisklineError  # whether the outcome is new, or why it was not taken


class Taken(BaseModel):
    """An outcome that is in the record: newly `recorded`, or `known` because the very same was told before."""

    decision_id: str
    result: Literal["recorded", "known"]


class Told(NamedTuple):
    """A row of the body and what came of it."""

    row: Row
    result: Result


def add_outcomes(
    media_type: str, body: Body, most_rows: tuple[int, str], add: Callable[[Sequence[Outcome]], Sequence[Result]]
) -> Body:
    """Reads a body, has its outcomes added some at a time, and writes an answer for each row.

    Above `most_rows`, a number and the setting that it comes from, nothing of the rows beyond is added.
    """
    target = new_file()
    try:
        _WRITERS[media_type](_told(_limited(_READERS[media_type](as_file(body)), *most_rows), add), target)
    except BaseException:
        target.close()
        raise
    return whole(target)


def _told(rows: Iterator[Row], add: Callable[[Sequence[Outcome]], Sequence[Result]]) -> Iterator[Told]:
    while some := list(islice(rows, _AT_ONCE)):
        results = iter(add([row for row in some if isinstance(row, Outcome)]))
        yield from [Told(row, row if isinstance(row, RisklineError) else next(results)) for row in some]


def _limited(rows: Iterator[Row], most_rows: int, setting: str) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        if number > most_rows:
            raise BatchTooLarge(f"the body has more than {most_rows} outcomes, the limit ({setting})")
        yield row


def _read_json(source: BinaryIO) -> Iterator[Row]:
    try:
        sent = from_json(source.read())
    except ValueError as error:
        raise MalformedBody(f"the body is not valid UTF-8 JSON: {error}") from None
    if not (isinstance(sent, dict) and list(sent) == ["outcomes"] and isinstance(sent["outcomes"], list)):
        raise InvalidBatch('the body must be {"outcomes": [...]} and nothing else')
    return (_row(Outcome.model_validate_json, to_json(element)) for element in sent["outcomes"])


def _read_lines(source: BinaryIO) -> Iterator[Row]:
    return (_row(Outcome.model_validate_json, line) for raw in lines_of(source) if (line := raw.strip()))


def _read_csv(source: BinaryIO) -> Iterator[Row]:
    rows = csv.reader(io.TextIOWrapper(source, "utf-8-sig", newline=""))
    try:
        header = next(rows, [])
        if sorted(header) != sorted(_COLUMNS):
            raise InvalidBatch(f"the first line must name the columns {', '.join(_COLUMNS)} and no others")
        for cells in rows:
            if len(cells) == len(header):
                yield _row(Outcome.model_validate_strings, dict(zip(header, cells, strict=True)))
            elif cells:
                yield _wrong([Problem("", "columns", f"the row has {len(cells)} cells instead of {len(header)}")])
    except (csv.Error, UnicodeDecodeError):
        raise MalformedBody("the body is not valid CSV in UTF-8") from None


def _row(read: Callable[[Any], Outcome], sent: object) -> Row:
    try:
        return read(sent)
    except ValidationError as error:
        return InvalidRequest.of("the outcome", error)


def _wrong(problems: Sequence[Problem]) -> InvalidRequest:
    return InvalidRequest("the outcome has 1 problem", problems)


def _write_json(told: Iterator[Told], target: BinaryIO) -> None:
    target.write(b'{"results":[')
    for number, row in enumerate(told):
        target.write((b"," if number else b"") + _as_json(row))
    target.write(b"]}")


def _write_lines(told: Iterator[Told], target: BinaryIO) -> None:
    for row in told:
        target.write(_as_json(row) + b"\n")


def _write_csv(told: Iterator[Told], target: BinaryIO) -> None:
    text = io.TextIOWrapper(target, "utf-8", newline="", write_through=True)
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_ANSWER_COLUMNS)
    for row, result in told:
        id_ = row.decision_id if isinstance(row, Outcome) else ""
        if isinstance(result, RisklineError):
            detail = " ".join(f"{problem.field}:{problem.rule}" for problem in result.detail)
            lines.writerow([id_, "", result.code, detail])
        else:
            lines.writerow([id_, _word(result), "", ""])
    text.detach()


def _as_json(told: Told) -> bytes:
    row, result = told
    if isinstance(result, RisklineError):
        return to_json(ErrorAnswer.of(result))
    assert isinstance(row, Outcome), "only an outcome can be taken"
    return to_json(Taken(decision_id=row.decision_id, result=_word(result)))


def _word(is_new: bool) -> Literal["recorded", "known"]:
    return "recorded" if is_new else "known"


_READERS: dict[str, Callable[[BinaryIO], Iterator[Row]]] = {JSON: _read_json, LINES: _read_lines, CSV: _read_csv}
_WRITERS: dict[str, Callable[[Iterator[Told], BinaryIO], None]] = {
    JSON: _write_json,
    LINES: _write_lines,
    CSV: _write_csv,
}
