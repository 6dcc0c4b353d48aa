"""One table from error to HTTP status, and the one form that every error is answered in.

{"error": "invalid_application", "message": "the application has 1 problem",
 "detail": [{"field": "age", "rule": "range", "message": "Age must be a whole number from 18 to 110 (years)"}]}
"""

from dataclasses import dataclass

from pydantic import ValidationError

from decisions.errors import Conflict, Forgotten, NotRecorded, Outdated, StoreAway, UnknownDecision, UnreadableRecord
from model.errors import ArtifactError
from preprocessing.decode import rule_of
from preprocessing.errors import (
    LONGEST_NAME_REPEATED,
    MOST_PROBLEMS_TOLD,
    BatchTooLarge,
    InvalidApplication,
    InvalidBatch,
    MalformedBody,
    Problem,
    RisklineError,
)


class BodyTooLarge(RisklineError):
    code = "body_too_large"


class AnswerTooLarge(RisklineError):
    code = "answer_too_large"


class UnsupportedMediaType(RisklineError):
    code = "unsupported_media_type"


class NotAcceptable(RisklineError):
    code = "not_acceptable"


class InvalidHeader(RisklineError):
    code = "invalid_header"


class InvalidRequest(RisklineError):
    """A query, a review or an outcome breaks its rules."""

    code = "invalid_request"

    @classmethod
    def of(cls, what: str, error: ValidationError) -> "InvalidRequest":
        """What pydantic has against `what`, without the values."""
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [
            Problem(
                str(detail["loc"][0])[:LONGEST_NAME_REPEATED] if detail["loc"] else "",
                rule_of(detail["type"]),
                detail["msg"],
            )
            for detail in errors
        ]
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        return cls(f"{what} has {count}", problems[:MOST_PROBLEMS_TOLD])


class InvalidTensor(RisklineError):
    """A request of the Open Inference Protocol breaks a rule; the message names the tensor and the rule."""

    code = "invalid_tensor"


class NoRecord(RisklineError):
    code = "no_record"


class NotFound(RisklineError):
    code = "not_found"


class AlreadyLoaded(RisklineError):
    code = "already_loaded"


class NoRoom(RisklineError):
    code = "no_room"


STATUS: dict[str, int] = {
    MalformedBody.code: 400,
    "malformed_request": 400,
    InvalidHeader.code: 400,
    InvalidTensor.code: 400,
    ArtifactError.code: 400,
    "unauthorized": 401,
    "forbidden": 403,
    NotFound.code: 404,
    UnknownDecision.code: 404,
    "method_not_allowed": 405,
    "reload_refused": 409,
    NotAcceptable.code: 406,
    AlreadyLoaded.code: 409,
    Conflict.code: 409,
    Outdated.code: 409,
    Forgotten.code: 410,
    BatchTooLarge.code: 413,
    BodyTooLarge.code: 413,
    AnswerTooLarge.code: 413,
    UnsupportedMediaType.code: 415,
    InvalidApplication.code: 422,
    InvalidBatch.code: 422,
    InvalidRequest.code: 422,
    "quota_exceeded": 429,
    "rate_limited": 429,
    "head_too_large": 431,
    "internal_error": 500,
    UnreadableRecord.code: 500,
    NoRecord.code: 501,
    "not_ready": 503,
    "overloaded": 503,
    NotRecorded.code: 503,
    StoreAway.code: 503,
    "timeout": 504,
    NoRoom.code: 507,
}
CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 503: "not_ready", 504: "timeout"}


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """The body of every error, whole request or single row of a batch."""

    error: str
    message: str
    detail: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, error: RisklineError) -> "ErrorAnswer":
        return cls(error.code, error.message, error.detail)


OVERLOADED = ErrorAnswer("overloaded", "there is more to do than can be answered in time; ask again in a second")
