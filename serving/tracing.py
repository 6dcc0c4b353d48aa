"""Requests as OpenTelemetry spans, one for each and one for each of its stages, sent on by OTLP over HTTP.

Off by default: RISKLINE_TRACES names the collector. Spans are made once the answer is, from the times taken anyway,
which takes some 0.2 ms for each request that is kept. Where a collector is away, spans are lost and nothing else is.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from serving import VERSION
from serving.settings import SettingsError

DELIVER_WITHIN_S = 5.0
_FORMAT = TraceContextTextMapPropagator()
log = logging.getLogger("riskline")


class Traces:
    """Sends spans to the collector at `endpoint`: a `share` of the traces that begin here, and of those that a caller
    began the ones that the caller keeps (W3C Trace Context). SettingsError where nothing can be sent."""

    def __init__(self, endpoint: str, share: float) -> None:
        resource = Resource({"service.name": "riskline", "service.version": VERSION})
        # one of our own: BentoML's is BentoML's
        self._provider = TracerProvider(ParentBased(TraceIdRatioBased(share)), resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Telling(exporter(endpoint), endpoint)))
        self._tracer = self._provider.get_tracer("riskline", VERSION)

    def add(
        self,
        route: str,
        status: int,
        error: str,
        seconds: float,
        stages: Mapping[str, float],
        request_id: str,
        headers: Mapping[bytes, bytes],
    ) -> None:
        """A request that has just been answered. Stages lie one after the other from its beginning; those that several
        requests went through together are in each of them, whole."""
        ended = time.time_ns()
        began = ended - round(seconds * 1e9)
        sent = {name: headers[key].decode("latin-1") for name, key in _SENT if key in headers}
        about: dict[str, str | int] = {
            "http.route": route,
            "http.response.status_code": status,
            "riskline.request_id": request_id,
        }
        if error:
            about["error.type"] = error
        span = self._tracer.start_span(route, _FORMAT.extract(sent), SpanKind.SERVER, about, start_time=began)
        if span.is_recording():
            inside, at = set_span_in_context(span), began
            for stage, spent in stages.items():
                child = self._tracer.start_span(stage, inside, start_time=at)
                at = min(at + round(spent * 1e9), ended)
                child.end(at)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
        span.end(ended)

    def close(self) -> None:
        """Sends the rest; what the collector has not taken within `DELIVER_WITHIN_S` is lost."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(DELIVER_WITHIN_S)


_SENT = (("traceparent", b"traceparent"), ("tracestate", b"tracestate"))


def exporter(endpoint: str) -> SpanExporter:
    """What sends spans to the collector there; SettingsError where its package is not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise SettingsError("RISKLINE_TRACES needs what `pip install -r requirements/traces.txt` installs") from None
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=DELIVER_WITHIN_S)


class _Telling(SpanExporter):
    """Tells once that the collector is away, and once that it is back, instead of at each attempt."""

    def __init__(self, sender: SpanExporter, endpoint: str) -> None:
        self._sender, self._endpoint, self._failed = sender, endpoint, False
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._sender.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failed:
            log.warning("spans cannot be sent to %s and are lost", self._endpoint)
        elif self._failed and not failed:
            log.info("spans are sent to %s again", self._endpoint)
        self._failed = failed
        return result

    def shutdown(self) -> None:
        self._sender.shutdown()
