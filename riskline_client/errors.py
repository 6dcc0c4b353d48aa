"""What can go wrong. Whoever makes no difference catches RisklineError.

    RisklineError
    ├── NoAnswer                 the service was not reached, or its answer was lost on the way or came too late
    ├── StrangeAnswer            what came is no answer of the service: a proxy's page, say
    └── ErrorAnswer              the service's own answer: `code`, `message`, `detail`
        ├── InvalidApplication   the application breaks rules: `detail` names each field and rule
        ├── InvalidRequest       something else that was asked breaks a rule
        ├── TooLarge             more bytes or rows than the service takes at once
        ├── Unauthorized         no key, or one that is not known
        ├── ScopeMissing         the key is not good for this
        ├── NotFound             no decision has this id; there is no such route
        ├── Forgotten            the decision's personal data were erased
        ├── Conflict             the idempotency key stands for the decision on another application
        ├── Outdated             the decision has reviews that the reviewer has not seen
        ├── LimitReached         the key's limit a second or a day is used up
        ├── Unavailable          not now: overloaded, not ready, not recorded, too slow
        ├── NoRecord             this service records no decisions
        └── ServiceFault         a bug in the service, whose log has it whole

A code that is newer than this client is an ErrorAnswer and nothing more. No error repeats a value of an application.
"""

from dataclasses import dataclass
from typing import ClassVar

PASSING = frozenset({429, 502, 503, 504})  # what the same call may not be answered a moment later


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule: the field's name ("" for the whole), a word for the rule, and a sentence for people."""

    field: str
    rule: str
    message: str


class RisklineError(Exception):
    """The root. `may_pass`: whether the same call may succeed later; `retry_after_s`: not before so many seconds."""

    may_pass: bool = False
    retry_after_s: float | None = None


class NoAnswer(RisklineError):
    """The service was not reached, or its answer was lost or late. Whether it did what was asked is not known."""

    may_pass = True


class StrangeAnswer(RisklineError):
    """What came is no answer of the service. `status` is HTTP's."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(status, message, retry_after_s)
        self.status, self.message, self.retry_after_s = status, message, retry_after_s
        self.may_pass = status in PASSING

    def __str__(self) -> str:
        return f"{self.message} (status {self.status})"


class ErrorAnswer(RisklineError):
    """The service's answer to a request that it refuses. `request_id` finds it in the service's log."""

    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: tuple[Problem, ...] = (),
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, code, message, detail, request_id, retry_after_s)  # so that it can be pickled
        self.status, self.code, self.message, self.detail = status, code, message, detail
        self.request_id, self.retry_after_s = request_id, retry_after_s
        self.may_pass = status in PASSING

    def __str__(self) -> str:
        lines = [f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in self.detail]
        return "\n  ".join([f"{self.message} ({self.code})", *lines])


class InvalidApplication(ErrorAnswer):
    codes = ("invalid_application",)


class InvalidRequest(ErrorAnswer):
    codes = (
        "malformed_body", "malformed_request", "invalid_header", "invalid_request", "invalid_batch",
        "method_not_allowed", "not_acceptable", "unsupported_media_type", "head_too_large",
    )  # fmt: skip


class TooLarge(ErrorAnswer):
    codes = ("body_too_large", "batch_too_large")


class Unauthorized(ErrorAnswer):
    codes = ("unauthorized",)


class ScopeMissing(ErrorAnswer):
    codes = ("forbidden",)


class NotFound(ErrorAnswer):
    codes = ("not_found", "unknown_decision")


class Forgotten(ErrorAnswer):
    codes = ("forgotten",)


class Conflict(ErrorAnswer):
    codes = ("conflict",)


class Outdated(ErrorAnswer):
    codes = ("outdated",)


class LimitReached(ErrorAnswer):
    codes = ("rate_limited", "quota_exceeded")


class Unavailable(ErrorAnswer):
    codes = ("overloaded", "not_ready", "not_recorded", "store_away", "timeout")


class NoRecord(ErrorAnswer):
    codes = ("no_record",)


class ServiceFault(ErrorAnswer):
    codes = ("internal_error", "unreadable_record")


CLASS_OF: dict[str, type[ErrorAnswer]] = {code: kind for kind in ErrorAnswer.__subclasses__() for code in kind.codes}
