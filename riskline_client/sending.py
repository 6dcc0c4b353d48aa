"""What both clients have in common: where the service is, how a request is made, and httpx's errors as ours."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal

import httpx

from riskline_client import calls
from riskline_client.answers import Channel, Decision, Outcome, Page, RefusedRow, TakenOutcome
from riskline_client.calls import Call
from riskline_client.errors import NoAnswer
from riskline_client.pieces import Pieces, gathered
from riskline_client.retry import Retry
from riskline_client.version import VERSION

Find = Literal["queued", "reviewed", "approved", "declined", "conflict"]
Order = Literal["oldest", "newest"]
ROWS, COLUMN_ROWS = 1_000, 100_000  # of a request
# As many as httpx keeps connections. Its pool goes through all that waits in it with every answer, so that a thousand
# calls at once would spend their time there: here the others wait for their turn before it.
AT_ONCE = 100
ONE, BULK = Retry(), Retry(attempt_s=60, deadline_s=300)


class Service:
    """The service at `url`, asked with `key`."""

    def __init__(self, url: str, key: str | None) -> None:
        parsed = httpx.URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
            raise ValueError("the service's URL must be http://… or https://…, without a query")
        if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
            raise ValueError("an API key is visible ASCII characters without spaces")
        self._url = str(parsed).rstrip("/")
        self._headers = {"User-Agent": f"riskline-client/{VERSION}"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

    def request(self, http: httpx.Client | httpx.AsyncClient, call: Call[Any], timeout_s: float) -> httpx.Request:
        return http.build_request(
            call.route.method,
            self._url + call.path,
            params=call.query,
            headers={**self._headers, **call.headers},
            content=call.body,
            timeout=timeout_s,
        )


@contextmanager
def no_transport_errors() -> Iterator[None]:
    """httpx's errors as ours."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise NoAnswer(f"the service did not answer in time ({type(error).__name__})") from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise NoAnswer(f"there is no answer from the service ({str(error) or type(error).__name__})") from error


def applications_in_pieces(
    applications: Iterable[Mapping[str, object]],
    explain: bool | None,
    channel: Channel | None,
    key: str | None,
    rows: int,
) -> Pieces[list[Decision | RefusedRow]]:
    name = calls.new_key() if key is None else key
    return Pieces(
        gathered(applications, rows),
        rows,
        lambda some, before: calls.predict_batch(some, before, explain, channel, f"{name}-{before}"),
    )


def outcomes_in_pieces(outcomes: Iterable[Outcome], rows: int) -> Pieces[list[TakenOutcome | RefusedRow]]:
    return Pieces(gathered(outcomes, rows), rows, lambda some, _: calls.outcomes(some))


def warn_of_unreadable(page: Page) -> None:
    """A list cannot give what the service cannot read, and must not pass over it in silence."""
    if page.unreadable:
        ids = ", ".join(page.unreadable)
        warnings.warn(f"not in this list, since their records were changed and cannot be read: {ids}", stacklevel=3)


def tables() -> ModuleType:
    """The part that needs pyarrow; ImportError that says what to install."""
    from riskline_client import tables

    return tables
