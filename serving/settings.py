"""What an operator can set: read once from `RISKLINE_*`, frozen, refused with key and rule where wrong."""

import difflib
import os
from collections.abc import Mapping
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from decisions.places import DEFAULT
from decisions.target import SETTING
from preprocessing.errors import RisklineError

PREFIX = "RISKLINE_"
LogLevel = Literal["debug", "info", "warning", "error"]
Against = Literal["all", "just_passed"]  # whom reasons compare an applicant with


class SettingsError(RisklineError):
    code = "bad_settings"


class Settings(BaseModel):
    """Each description says why one would change the setting; README's table is compared with it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: str = Field(
        "",
        description="The file of API keys that `python -m serving.keys` writes; `none` lets everybody call who reaches "
        "the service. Without either it starts on the loopback interface alone.",
    )
    live: str = Field(
        "",
        description="A JSON file with `model` or `log_level`: they go before the settings of these names, and can be "
        "changed there while the service runs.",
    )
    model: str = Field(
        "",
        description="A folder, a model.tar.gz or a tag of the BentoML model store, to serve it instead of the model "
        "last promoted, or of the newest in the store. A model mounted at /opt/ml/model goes before it.",
    )
    shadow: str = Field(
        "",
        description="A folder, a model.tar.gz or a tag of a challenger, to see what it would say to the same "
        "applications: it changes and delays no answer.",
    )
    workers: int = Field(
        0, ge=0, le=256, description="Worker processes; 0 means one for each core that the machine or container grants."
    )
    max_rows: int = Field(
        10_000,
        ge=1,
        description="Most applications in one JSON batch: lower it to bound how long one caller can hold a worker.",
    )
    max_body_mb: float = Field(
        16, gt=0, le=4096, description="Largest JSON body in MiB: raise it together with RISKLINE_MAX_ROWS."
    )
    max_bulk_rows: int = Field(
        10_000_000, ge=1, description="Most applications in a batch of JSON Lines, CSV, Arrow or Parquet."
    )
    max_bulk_mb: float = Field(
        1024,
        gt=0,
        le=1_048_576,
        description="Largest body of JSON Lines, CSV, Arrow or Parquet in MiB; above 1 MiB it waits on disk.",
    )
    max_invocation_mb: float = Field(
        6,
        gt=0,
        le=1_048_576,
        description="Largest body and largest answer of /invocations in MiB: raise it to 1024 for an asynchronous "
        "endpoint.",
    )
    low_confidence: float = Field(
        0.9,
        ge=0,
        le=1,
        description="A value that was read off paper with less confidence gets a warning, and a person looks at the "
        "decision.",
    )
    timeout_s: float = Field(
        60, gt=0, description="Seconds after which a request that is still not answered gets a 504."
    )
    max_wait_ms: float = Field(
        15,
        gt=0,
        description="Milliseconds that an application may wait for its answer; whom that cannot be kept for gets a 503 "
        "at once. Raise it to answer more of a rush, later.",
    )
    max_bulk: int = Field(
        32,
        ge=1,
        description="Most bodies of many applications, scanned mails and requests to /explain that one worker has "
        "under way; who comes above it gets a 503.",
    )
    max_connections: int = Field(
        4096,
        ge=8,
        description="Most connections of one worker, within what the system lets it open. One that comes above it "
        "takes the place of the one that has been silent longest.",
    )
    explain: bool = Field(
        False, description="true gives reasons with every score; without it, those get them who ask with ?explain=true."
    )
    reasons_against: Against = Field(
        "all",
        description="Whom reasons compare an applicant with: all applicants, or just_passed: those just on the better "
        "side of the cut-off.",
    )
    record: Literal["durable", "async", "none"] = Field(
        "durable",
        description="durable answers once the decision is on disk; async answers before that, so that a crash can lose "
        "the last ones; none keeps nothing.",
    )
    decisions: str = Field(
        DEFAULT, description="The folder where decisions are kept, for all workers and servers of a machine."
    )
    store: str = Field(
        "sqlite",
        pattern=SETTING,
        description="dynamodb:TABLE copies decisions on to that table of DynamoDB, for more than one machine; sqlite "
        "keeps them in the folder alone.",
    )
    expire_days: float = Field(
        0, ge=0, le=36_500, description="Days after which DynamoDB deletes a decision; 0 keeps it for ever."
    )
    max_unrecorded: int = Field(
        100_000, ge=1, description="Most decisions that may wait for the disk; who comes above it gets a 503."
    )
    max_journal_mb: float = Field(
        1024,
        gt=0,
        description="Most MiB of decisions that may wait for a store that is away; who comes above it gets a 503.",
    )
    gather_ms: float = Field(
        0,
        ge=0,
        le=100,
        description="Milliseconds that a write waits for more decisions: raise it where writes wear the disk.",
    )
    archive: str = Field(
        "",
        description="A folder, or an s3:// or gs:// URL, to which decisions are copied as Parquet while the service "
        "runs; nothing copies them without it.",
    )
    archive_every_min: float = Field(
        60, ge=0.01, description="Minutes between two copies to the archive; each makes a file."
    )
    fast_lane: bool = Field(
        True, description="false lets BentoML's own middleware handle the scoring routes: same answers, far slower."
    )
    named_only: bool = Field(
        False,
        description="true refuses to score without a model's name on a multi-model endpoint. The image sets it where "
        "no model is mounted and RISKLINE_MODEL is not set: nobody chose the model in the image.",
    )
    access_log: bool = Field(False, description="true writes a JSON line for each request to stdout.")
    log_level: LogLevel = Field("info", description="The least that the service says of itself on stdout.")
    log_decisions: float = Field(
        0,
        ge=0,
        le=1,
        description="Share of the decisions that get a JSON line on stdout: 1 for all, 0.01 for every hundredth.",
    )
    log_metrics: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._/#:-]{0,255}$",
        description="A namespace of CloudWatch: writes the main metrics to stdout once a minute in its embedded metric "
        "format, for where nobody can scrape /metrics.",
    )
    traces: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="The URL of an OpenTelemetry collector (OTLP over HTTP), as http://localhost:4318, which then gets "
        "a span for each request and its stages.",
    )
    traces_share: float = Field(
        1,
        ge=0,
        le=1,
        description="Share of the traces that begin here and are sent; whether those of callers are, they say.",
    )

    def most_rows(self, bulk: bool) -> tuple[int, str]:
        """The limit of a batch's rows, and the setting that it comes from."""
        return (self.max_bulk_rows, "RISKLINE_MAX_BULK_ROWS") if bulk else (self.max_rows, "RISKLINE_MAX_ROWS")

    def most_bytes(self, bulk: bool) -> tuple[int, str]:
        """The limit of a body's size, and the setting that it comes from."""
        megabytes, setting = (
            (self.max_bulk_mb, "RISKLINE_MAX_BULK_MB") if bulk else (self.max_body_mb, "RISKLINE_MAX_BODY_MB")
        )
        return int(megabytes * 2**20), setting


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`; SettingsError naming the key for a wrong value or a key that does not exist."""
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    given = {key: value for key, value in environment.items() if key.startswith(PREFIX)}
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
            hint = f"did you mean {close[0]}?" if close else "the README lists the settings"
            raise SettingsError(f"{key} is not a setting; {hint}")
    try:
        return Settings.model_validate({known[key]: value for key, value in given.items()})
    except ValidationError as error:
        first = error.errors()[0]
        key = PREFIX + str(first["loc"][0]).upper()
        raise SettingsError(f"{key}={given[key]!r} does not fit: {first['msg']}") from None


@cache
def settings() -> Settings:
    """This process's settings, read at the first call."""
    return read_settings(os.environ)
