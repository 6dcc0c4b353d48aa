"""Every metric of the service, declared once; BentoML counts the requests themselves.

With several workers prometheus_client adds them up through files in PROMETHEUS_MULTIPROC_DIR, which BentoML sets before
a worker starts.
"""

from collections.abc import Sequence

from prometheus_client import Counter, Gauge

from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from serving.scorer import Score

SCORES = Counter("riskline_scores_total", "Applications scored, by tier.", ["tier"])
REFUSED = Counter(
    "riskline_refused_total", "Broken rules in refused applications, by field and rule.", ["field", "rule"]
)
WARNINGS = Counter("riskline_warnings_total", "Warnings given with scores, by field and code.", ["field", "code"])
MODEL = Gauge(
    "riskline_model_info", "1 for the model and policy being served.", ["model_version", "policy_version"],
    multiprocess_mode="max",
)  # fmt: skip

_KNOWN = {field.name for field in FIELDS}


def count(results: Sequence[Score | InvalidApplication]) -> None:
    """Counts what was answered. Names that a caller made up become "other": labels must stay few."""
    for result in results:
        if isinstance(result, Score):
            SCORES.labels(result.tier).inc()
            for warning in result.warnings:
                WARNINGS.labels(warning.field, warning.code).inc()
        else:
            for problem in result.detail:
                field = problem.field if problem.field in _KNOWN or not problem.field else "other"
                REFUSED.labels(field, problem.rule).inc()
