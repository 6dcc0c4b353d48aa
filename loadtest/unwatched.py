"""The service without its metrics, drift and logs, to be measured beside the service with them: what watching costs.

bentoml serve loadtest.unwatched:Riskline
"""

from typing import Any

from serving import metrics
from serving.drift import Drift
from serving.drift_watch import DriftWatch


def nothing(*_: Any, **__: Any) -> None:
    """In the place of what counts."""


async def nothing_to_see(*_: Any) -> None:
    """In the place of what shows it."""


for name in ("count_request", "count_scores", "count_recorded", "flush", "look_at_process"):
    setattr(metrics, name, nothing)
for method in ("take", "gather"):
    setattr(Drift, method, nothing)
setattr(DriftWatch, "look", nothing_to_see)  # noqa: B010 - a method is assigned

from service import Riskline as Riskline  # noqa: E402 - what it imports has been changed
