"""The edges' shared part: a request's bytes in, an answer's status and bytes out. No server, no framework.

Whatever is wrong with a request becomes an answer here, so every lane gives the same bytes for the same body.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field
from pydantic_core import to_json

from preprocessing.decode import Row, decode_application, decode_batch
from preprocessing.errors import InvalidApplication, RisklineError
from preprocessing.schema import Application
from serving import metrics
from serving.errors import STATUS, BodyTooLarge, ErrorAnswer, UnsupportedMediaType
from serving.scorer import Score, Scorer
from serving.settings import Settings

log = logging.getLogger("riskline")

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Results:
    """The answer to a batch: for each application, in order, its score or its own error."""

    results: Sequence[Score | ErrorAnswer]


class Batch(BaseModel):
    """Many applications in one request; declared here for the contract, decoded by `decode_batch`."""

    applications: Annotated[list[Application], Field(description="At most RISKLINE_MAX_ROWS of them.")]


class Answer(NamedTuple):
    status: int
    body: bytes  # JSON


class Api:
    """The scoring routes: each takes the request's body and its Content-Type."""

    def __init__(self, scorer: Scorer, settings: Settings) -> None:
        self._scorer = scorer
        self._settings = settings

    def predict(self, body: bytes, content_type: str | None) -> Answer:
        """One application; the body is the application."""
        return self._answer(self._predict, body, content_type)

    def predict_batch(self, body: bytes, content_type: str | None) -> Answer:
        """`{"applications": [...]}` → `{"results": [...]}`; a refused application costs only itself."""
        return self._answer(self._predict_batch, body, content_type)

    def _predict(self, body: bytes) -> Score:
        [result] = self._score(decode_application(body))
        if isinstance(result, InvalidApplication):
            raise result
        return result

    def _predict_batch(self, body: bytes) -> Results:
        results = self._score(decode_batch(body, self._settings.max_rows))
        return Results([ErrorAnswer.of(r) if isinstance(r, InvalidApplication) else r for r in results])

    def _score(self, rows: Sequence[Row]) -> list[Score | InvalidApplication]:
        results = self._scorer.score(rows)
        metrics.count(results)
        return results

    def _answer(self, work: Callable[[bytes], Score | Results], body: bytes, content_type: str | None) -> Answer:
        try:
            _require_json(content_type)
            self._check_size(body)
            return Answer(200, to_json(work(body)))
        except RisklineError as error:
            return error_answer(ErrorAnswer.of(error))
        except Exception:
            log.exception("unexpected error")
            return error_answer(ErrorAnswer("internal_error", "something broke on our side; the log says what"))

    def _check_size(self, body: bytes) -> None:
        if len(body) > self._settings.max_body_bytes:
            limit = f"{self._settings.max_body_mb:g} MiB (RISKLINE_MAX_BODY_MB)"
            raise BodyTooLarge(f"the body is larger than the limit of {limit}")


def error_answer(error: ErrorAnswer) -> Answer:
    return Answer(STATUS[error.error], to_json(error))


def not_json() -> UnsupportedMediaType:
    return UnsupportedMediaType(f"the Content-Type must be {JSON} in UTF-8")


def _require_json(content_type: str | None) -> None:
    """No Content-Type is taken for JSON; so is any case and `charset=utf-8`, as RFC 9110 has it."""
    if content_type is None:
        return
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if media_type.strip() != JSON or charset not in ("", "utf-8", "utf8"):
        raise not_json()
