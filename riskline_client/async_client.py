"""The same client for asyncio. A test holds both to the same methods and signatures.

async with AsyncClient("https://riskline.example.com", key=…) as riskline:
    decision = await riskline.predict(application)
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
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


class AsyncClient:
    """As Client, for the tasks of one event loop; `http` is a httpx.AsyncClient of yours."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retry: Retry = ONE,
        bulk_retry: Retry = BULK,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._service, self._retry, self._bulk_retry = Service(url, key), retry, bulk_retry
        self._http, self._is_ours = http or httpx.AsyncClient(), http is None
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._is_ours:
            await self._http.aclose()

    async def predict(
        self,
        application: Mapping[str, object],
        *,
        explain: bool | None = None,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
    ) -> Decision:
        """As Client.predict."""
        return await self._answer(calls.predict(application, explain, channel, idempotency_key), self._retry)

    async def explain(
        self,
        application: Mapping[str, object],
        *,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
    ) -> Explanation:
        """As Client.explain."""
        return await self._answer(calls.explain(application, channel, idempotency_key), self._retry)

    async def predict_batch(
        self,
        applications: Iterable[Mapping[str, object]],
        *,
        explain: bool | None = None,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
        rows: int = ROWS,
    ) -> list[Decision | RefusedRow]:
        """As Client.predict_batch."""
        pieces = applications_in_pieces(applications, explain, channel, idempotency_key, rows)
        return [result async for answer in self._answers(pieces) for result in answer]

    async def predict_table(
        self,
        table: Any,
        *,
        keep: Sequence[str] = (),
        explain: bool | None = None,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
        rows: int = COLUMN_ROWS,
    ) -> Any:
        """As Client.predict_table."""
        pieces = tables().pieces(table, keep, rows, explain, channel, idempotency_key)
        return tables().joined([answer async for answer in self._answers(pieces)])

    async def predict_stream(
        self,
        batches: Any,
        *,
        keep: Sequence[str] = (),
        explain: bool | None = None,
        channel: Channel | None = None,
        idempotency_key: str | None = None,
        rows: int = COLUMN_ROWS,
    ) -> AsyncIterator[Any]:
        """As Client.predict_stream."""
        async for answer in self._answers(tables().pieces(batches, keep, rows, explain, channel, idempotency_key)):
            yield answer

    async def decisions(
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
    ) -> AsyncIterator[ListedDecision]:
        """As Client.decisions."""
        query = {
            "state": state, "tier": tier, "channel": channel, "model_version": model_version,
            "since": since, "until": until, "order": order, "limit": limit,
        }  # fmt: skip
        cursor: str | None = ""
        while cursor is not None:
            page = await self._answer(calls.decisions({**query, "cursor": cursor or None}), self._retry)
            warn_of_unreadable(page)
            for decision in page.decisions:
                yield decision
            cursor = page.next

    async def decision(self, decision_id: str, *, proof: bool = False, replay: bool = False) -> RecordedDecision:
        """As Client.decision."""
        return await self._answer(calls.decision(decision_id, proof, replay), self._retry)

    async def review(
        self, decision_id: str, *, reviewer: str, verdict: Verdict, note: str | None = None, seen: int | None = None
    ) -> RecordedDecision:
        """As Client.review."""
        return await self._answer(calls.review(decision_id, reviewer, verdict, note, seen), self._retry)

    async def add_outcomes(self, outcomes: Iterable[Outcome], *, rows: int = ROWS) -> list[TakenOutcome | RefusedRow]:
        """As Client.add_outcomes."""
        return [result async for answer in self._answers(outcomes_in_pieces(outcomes, rows)) for result in answer]

    async def model(self) -> Model:
        """As Client.model."""
        return await self._answer(calls.model(), self._retry)

    async def schema(self) -> Mapping[str, Any]:
        """As Client.schema."""
        return await self._answer(calls.schema(), self._retry)

    async def _answers(self, pieces: Pieces[T]) -> AsyncIterator[T]:
        while (call := pieces.take()) is not None:
            try:
                answer = await self._answer(call, self._bulk_retry)
            except TooLarge as error:
                pieces.refused(error)
            else:
                yield answer

    async def _answer(self, call: Call[T], retry: Retry) -> T:
        attempts = Attempts(retry)
        while True:
            try:
                return call.answer(await self._sent(call, attempts))
            except RisklineError as error:
                wait_s = attempts.wait_after(error)
            await asyncio.sleep(wait_s)

    async def _sent(self, call: Call[Any], attempts: Attempts) -> Reply:
        async with self._turns:
            attempts.check_time()
            with no_transport_errors():
                request = self._service.request(self._http, call, attempts.begin())
                response = await self._http.send(request, stream=True, follow_redirects=False)
                try:
                    body = bytearray()
                    async for part in response.aiter_bytes():
                        attempts.check_time()
                        body += part
                finally:
                    await response.aclose()
        return Reply(response.status_code, response.headers, bytes(body))
