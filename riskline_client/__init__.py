"""A typed client of Riskline, sync and async, which asks again where that is safe. Needs httpx and nothing else.

from riskline_client import Client

with Client("https://riskline.example.com", key=…) as riskline:
    decision = riskline.predict(application)
"""

from riskline_client.answers import (
    Check,
    Decision,
    Explanation,
    Facts,
    GivenOutcome,
    GivenReview,
    ListedDecision,
    Model,
    NextTier,
    Outcome,
    Place,
    Proof,
    Reason,
    RecordedDecision,
    RefusedRow,
    Replay,
    ScoreWarning,
    SentValue,
    Source,
    Suggestion,
    TakenOutcome,
)
from riskline_client.async_client import AsyncClient
from riskline_client.client import Client
from riskline_client.errors import (
    Conflict,
    ErrorAnswer,
    Forgotten,
    InvalidApplication,
    InvalidRequest,
    LimitReached,
    NoAnswer,
    NoRecord,
    NotFound,
    Outdated,
    Problem,
    RisklineError,
    ScopeMissing,
    ServiceFault,
    StrangeAnswer,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from riskline_client.retry import Retry

__all__ = [
    "AsyncClient", "Check", "Client", "Conflict", "Decision", "ErrorAnswer", "Explanation", "Facts", "Forgotten",
    "GivenOutcome", "GivenReview", "InvalidApplication", "InvalidRequest", "LimitReached", "ListedDecision", "Model",
    "NextTier", "NoAnswer", "NoRecord", "NotFound", "Outcome", "Outdated", "Place", "Problem", "Proof", "Reason",
    "RecordedDecision", "RefusedRow", "Replay", "Retry", "RisklineError", "ScopeMissing", "ScoreWarning", "SentValue",
    "ServiceFault", "Source", "StrangeAnswer", "Suggestion", "TakenOutcome", "TooLarge", "Unauthorized", "Unavailable",
]  # fmt: skip
