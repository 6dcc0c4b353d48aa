"""Last step of an application's way: scores → the bytes of an answer.

One row's JSON is put together from parts made once a model; a test holds it to what pydantic writes of a `Score`.
"""

from functools import lru_cache

from pydantic import TypeAdapter
from pydantic_core import to_json

from model.policy import TIERS
from serving.errors import ErrorAnswer
from serving.scorer import Score, Scores, ScoreWarning

_TIERS = [f',"tier":"{tier}","points":' for tier in TIERS]
_SCORE = TypeAdapter(Score)
_END = ',"warnings":[]}'


def json_rows(scores: Scores) -> list[str]:
    """One JSON object for each row: its score, or its own error."""
    versions = f',"model_version":"{scores.model_version}","policy_version":"{scores.policy_version}","decision_id":"'
    rows = [  # !r, because a float is formatted by repr a good deal faster than without
        f'{{"probability":{probability!r}{_TIERS[tier]}{points}{versions}{decision_id}"{_END}'
        for probability, tier, points, decision_id in zip(
            scores.probability, scores.tier, scores.points, scores.decision_id, strict=True
        )
    ]
    for row, warnings in scores.warnings.items():
        rows[row] = f'{rows[row].removesuffix(_END)},"warnings":{warnings_json(warnings)}}}'
    for row, ranked in (scores.reasons or {}).items():
        rows[row] = f'{rows[row][:-1]},"reasons":{scores.reasoning.as_json(ranked)}}}'
    for row, score in scores.stood.items():
        rows[row] = _SCORE.dump_json(score, exclude_none=True).decode()
    for row, refused in scores.refused.items():
        rows[row] = to_json(ErrorAnswer.of(refused)).decode()
    return rows


@lru_cache(maxsize=1024)
def warnings_json(warnings: tuple[ScoreWarning, ...]) -> str:
    """A row's warnings as a JSON array."""
    return to_json(warnings).decode()
