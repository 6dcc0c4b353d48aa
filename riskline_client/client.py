"""The client: it sends what `calls.py` makes, waits as `retry.py` says, and does nothing else.

with Client("https://riskline.example.com", key=…) as riskline:
    decision = riskline.predict(application)
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar

import httpx

from riskline_client import calls
from riskline_client.answers import (
    Channel,
    Decision,
    Explanation,
    ListedDecision,
    Model,
    Outcome,
    RecordedDecision,
    RefusedRow,
    TakenOutcome,
    Tier,
    Verdict,
)
from riskline_client.calls import Call, Reply
from riskline_client.errors import RisklineError, TooLarge
from riskline_client.pieces import Pieces
from riskline_client.retry import Attempts, Retry
from riskline_client.sending import (
    AT_ONCE,
    BULK,
    COLUMN_ROWS,
    ONE,
    ROWS,
    Find,
    Order,
    Service,
    applications_in_pieces,
    no_transport_errors,
    outcomes_in_pieces,
    tables,
    warn_of_unreadable,
)

T = TypeVar("T")


class Client:
    """Asks the service at `url`. Safe to use from several threads; connections are kept until it is closed.

    key: an API key of the service, where it wants one.
    retry, bulk_retry: how long a request of one application, or of many, goes on trying.
    http: a httpx.Client of yours, for proxies, certificates or hooks; it stays yours to close.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retry: Retry = ONE,
        bulk_retry: Retry = BULK,
        http: httpx.Client | None = None,
    ) -> None:
        self._service, self._retry, self._bulk_retry = Service(url, key), retry, bulk_retry
        self._http, self._is_ours = http or httpx.Client(), http is None
        self._turns = threading.Semaphore(AT_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._is_ours:
            self._http.close()

    def predict(
        self,
        application: Mapping[str, object],
        *,
        explain: bool | None = None,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
    ) -> Decision:
        """The decision on one application; InvalidApplication names each field that breaks a rule.

        explain: with reasons or without; None leaves it to the service.
        idempotency_key: becomes the decision's id. Whoever asks again with the same one, a day or a crash later, gets
        the same decision; with another application, Conflict. Without it each call gets a new one.
        ValueError and TypeError for what JSON cannot say, NaN for instance.
        """
        return self._answer(calls.predict(application, explain, channel, idempotency_key), self._retry)

    def explain(
        self,
        application: Mapping[str, object],
        *,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
    ) -> Explanation:
        """The decision, what it consists of, and what would change it. It is recorded as every other."""
        return self._answer(calls.explain(application, channel, idempotency_key), self._retry)

    def predict_batch(
        self,
        applications: Iterable[Mapping[str, object]],
        *,
        explain: bool | None = None,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
        rows: int = ROWS,
    ) -> list[Decision | RefusedRow]:
        """For each application, in order, its decision or what is wrong with it; `rows` of them go in a request.

        Decisions are named <idempotency_key>-<rows of requests before>-<row of the request, from 1>: called again with
        the same applications, key and `rows`, under the same limits, it gives what is decided and decides the rest.
        """
        pieces = applications_in_pieces(applications, explain, channel, idempotency_key, rows)
        return [result for answer in self._answers(pieces) for result in answer]

    def predict_table(
        self,
        table: Any,
        *,
        keep: Sequence[str] = (),
        explain: bool | None = None,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
        rows: int = COLUMN_ROWS,
    ) -> Any:
        """The same for a pyarrow.Table, RecordBatch or RecordBatchReader: a pyarrow.Table with a row for each row.

        Columns are `keep`, as they came and unsent, then probability (float64), tier, points (int32), model_version,
        policy_version, decision_id, warnings (`field:code …`), error and detail (`field:rule …`), and reasons where
        they are asked for. A refused row has an error and no score.
        """
        pieces = tables().pieces(table, keep, rows, explain, channel, idempotency_key)
        return tables().joined(list(self._answers(pieces)))

    def predict_stream(
        self,
        batches: Any,
        *,
        keep: Sequence[str] = (),
        explain: bool | None = None,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
        rows: int = COLUMN_ROWS,
    ) -> Iterator[Any]:
        """The same, table by table, as any iterable of record batches is read: for more rows than memory holds."""
        yield from self._answers(tables().pieces(batches, keep, rows, explain, channel, idempotency_key))

    def decisions(
        self,
        *,
        state: Find | None = None,
        tier: Tier | None = None,
        channel: Channel | None = None,
        model_version: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: Order | None = None,
        limit: int | None = None,
    ) -> Iterator[ListedDecision]:
        """The recorded decisions that are so, fetched `limit` (the service's default: 100) at a time as they are read.

        since (included) and until (not) must have a time zone.
        """
        query = {
            "state": state, "tier": tier, "channel": channel, "model_version": model_version,
            "since": since, "until": until, "order": order, "limit": limit,
        }  # fmt: skip
        cursor: str | None = ""
        while cursor is not None:
            page = self._answer(calls.decisions({**query, "cursor": cursor or None}), self._retry)
            warn_of_unreadable(page)
            yield from page.decisions
            cursor = page.next

    def decision(self, decision_id: str, *, proof: bool = False, replay: bool = False) -> RecordedDecision:
        """One recorded decision; with whether it can be proved, and with what its model says today, if asked."""
        return self._answer(calls.decision(decision_id, proof, replay), self._retry)

    def review(
        self, decision_id: str, *, reviewer: str, verdict: Verdict, note: str | None = None, seen: int | None = None
    ) -> RecordedDecision:
        """Adds a verdict. Outdated, and nothing is added, where there are more reviews than the `seen` ones."""
        return self._answer(calls.review(decision_id, reviewer, verdict, note, seen), self._retry)

    def add_outcomes(self, outcomes: Iterable[Outcome], *, rows: int = ROWS) -> list[TakenOutcome | RefusedRow]:
        """Says what became of decisions; for each outcome, in order, that it is in the record, or what is wrong."""
        return [result for answer in self._answers(outcomes_in_pieces(outcomes, rows)) for result in answer]

    def model(self) -> Model:
        """The model that new applications are scored with."""
        return self._answer(calls.model(), self._retry)

    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of an application: fields, units, words, bounds."""
        return self._answer(calls.schema(), self._retry)

    def _answers(self, pieces: Pieces[T]) -> Iterator[T]:
        while (call := pieces.take()) is not None:
            try:
                answer = self._answer(call, self._bulk_retry)
            except TooLarge as error:
                pieces.refused(error)
            else:
                yield answer

    def _answer(self, call: Call[T], retry: Retry) -> T:
        attempts = Attempts(retry)
        while True:
            try:
                return call.answer(self._sent(call, attempts))
            except RisklineError as error:
                wait_s = attempts.wait_after(error)
            time.sleep(wait_s)

    def _sent(self, call: Call[Any], attempts: Attempts) -> Reply:
        with self._turns:
            attempts.check_time()
            with no_transport_errors():
                request = self._service.request(self._http, call, attempts.begin())
                response = self._http.send(request, stream=True, follow_redirects=False)
                try:
                    body = bytearray()
                    for part in response.iter_bytes():
                        attempts.check_time()
                        body += part
                finally:
                    response.close()
        return Reply(response.status_code, response.headers, bytes(body))
