"""What can be wrong with data that somebody sends us.

    RisklineError
    ├── MalformedBody       the bytes are not JSON at all
    ├── InvalidApplication  one application breaks rules of the schema; the other rows of its batch are unharmed
    ├── InvalidBatch        the envelope around the applications is wrong
    └── BatchTooLarge       more rows than one request may bring

An error names the field and the rule and never repeats the value: applications are personal data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

MOST_PROBLEMS_TOLD = 50  # of one application; the count in the message is of all
LONGEST_NAME_REPEATED = 64  # an unknown field's name is the caller's text; a megabyte of it helps nobody


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: `field` is the field's name ("" for the whole body), `rule` a word from a closed set."""

    field: str
    rule: str
    message: str


class RisklineError(Exception):
    """The root of every error that a caller, a data scientist or an operator can cause."""

    code: ClassVar[str]

    def __init__(self, message: str, detail: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.detail = tuple(detail)


class MalformedBody(RisklineError):
    code = "malformed_body"


class InvalidApplication(RisklineError):
    code = "invalid_application"

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"the application has {count}", problems[:MOST_PROBLEMS_TOLD])


class InvalidBatch(RisklineError):
    code = "invalid_batch"


class BatchTooLarge(RisklineError):
    code = "batch_too_large"

    @classmethod
    def of(cls, rows: int, most_rows: int, setting: str) -> "BatchTooLarge":
        return cls(f"the batch has {rows} applications; the limit is {most_rows} ({setting})")
