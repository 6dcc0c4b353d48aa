"""What a worker says about itself besides its metrics: on stdout, and to a collector of traces."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from serving.cloudwatch import CloudWatch
from serving.logs import Lines
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.tracing import Traces


class Telemetry(NamedTuple):
    """None stands for what nobody asked for."""

    lines: Lines | None = None
    cloudwatch: CloudWatch | None = None
    traces: "Traces | None" = None

    @classmethod
    def of(cls, settings: Settings, counts: Path) -> "Telemetry":
        """As the settings have it; `counts` is where all workers' counts are."""
        lines = Lines() if settings.access_log or settings.log_decisions or settings.log_metrics else None
        cloudwatch = CloudWatch(settings.log_metrics, lines, counts) if lines and settings.log_metrics else None
        if not settings.traces:
            return cls(lines, cloudwatch)
        from serving.tracing import Traces  # who has no collector need not load OpenTelemetry

        return cls(lines, cloudwatch, Traces(settings.traces, settings.traces_share))

    @staticmethod
    def prove(settings: Settings) -> None:
        """SettingsError where traces are asked for and cannot be sent."""
        if settings.traces:
            from serving.tracing import exporter

            exporter(settings.traces).shutdown()

    def close(self) -> None:
        """Says the rest."""
        if self.cloudwatch:
            self.cloudwatch.say()
        if self.lines:
            self.lines.close()
        if self.traces:
            self.traces.close()
