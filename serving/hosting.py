"""What SageMaker and its users set in the container's environment: read once from `SAGEMAKER_*`, frozen.

Settings of Riskline's own are in `settings.py`. Where both speak of the same thing, SageMaker's word is the later one:
it is the job's, while the other is the image's.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from serving.settings import SettingsError

PREFIX = "SAGEMAKER_"
Strategy = Literal["SINGLE_RECORD", "MULTI_RECORD"]
# as the official XGBoost image names them, in the order in which it writes them as JSON
Output = Literal[
    "predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores", "predicted_score"
]
OUTPUTS: tuple[Output, ...] = get_args(Output)
MOST_IN_FLIGHT_MB = 100  # SageMaker refuses a job whose MaxConcurrentTransforms · MaxPayloadInMB is above


class Hosting(BaseModel):
    """An empty variable counts as one that is not set. README's table is compared with the descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    inference_output: tuple[Output, ...] = Field(
        (),
        description="Columns that /invocations answers with instead of Riskline's own, as a comma list: "
        + ", ".join(OUTPUTS)
        + ". For clients of the official XGBoost image, and for Clarify (probability).",
    )
    multi_model: bool = Field(
        False, description="true serves the routes of a multi-model endpoint, which are not there without it."
    )
    batch: bool = Field(
        False, description="Set in batch transform jobs: a refused JSON application is then an answer, not a 4xx."
    )
    batch_strategy: Strategy = Field("MULTI_RECORD", description="Set by the job; /execution-parameters says the same.")
    max_payload_in_mb: int | None = Field(
        None,
        ge=0,
        description="Set by the job: the largest body of /invocations in place of RISKLINE_MAX_INVOCATION_MB; 0 means "
        "as large as RISKLINE_MAX_BULK_MB. Answers then have no limit.",
    )
    max_concurrent_transforms: int | None = Field(
        None, ge=0, description="Set by the job; 0 or nothing: as many as there are workers."
    )

    @field_validator("inference_output", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("batch_strategy", mode="before")
    @classmethod
    def _in_capitals(cls, value: Any) -> Any:
        """`MultiRecord`, as the API writes it, is `MULTI_RECORD`, as the container is told."""
        spelled = {strategy.replace("_", ""): strategy for strategy in get_args(Strategy)}
        return spelled.get(str(value).upper().replace("_", ""), value)

    def execution_parameters(self, workers: int, max_invocation_mb: float) -> dict[str, int | str]:
        """What a batch transform job that sets nothing is told to do."""
        megabytes = max(1, int(self.max_payload_in_mb or max_invocation_mb))
        transforms = self.max_concurrent_transforms or max(1, min(workers, MOST_IN_FLIGHT_MB // megabytes))
        return {
            "MaxConcurrentTransforms": transforms,
            "BatchStrategy": self.batch_strategy,
            "MaxPayloadInMB": megabytes,
        }


def read_hosting(environment: Mapping[str, str]) -> Hosting:
    """What `environment` says; SettingsError naming the key for a wrong value. Other SAGEMAKER_* are not ours."""
    known = {PREFIX + name.upper(): name for name in Hosting.model_fields}
    given = {name: environment[key] for key, name in known.items() if environment.get(key)}
    try:
        return Hosting.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = PREFIX + str(first["loc"][0]).upper()
        raise SettingsError(f"{key}={environment[key]!r} does not fit: {first['msg']}") from None


@cache
def hosting() -> Hosting:
    """This process's, read at the first call."""
    return read_hosting(os.environ)
