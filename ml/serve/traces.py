"""OpenTelemetry: a server span for each request for scores, where the environment asks for it.

The variables are those of OpenTelemetry's specification; spans go by OTLP over HTTP, in batches, from a bounded queue.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

from ml.serve.errors import CannotStart, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    from ml.serve.model import Record

    class Headers(Protocol):
        """Of a request, by name in small letters."""

        def get(self, key: str) -> str | None:
            """The value of one; None where it is not there."""


ASKS = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"
CALLER = ("traceparent", "tracestate")
ROUTE = "/v2/models/{model_name}/infer"


def are_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether traces are wanted. Raises CannotStart where they are wanted in a way that is not in this image."""
    wanted = any(environment.get(name) for name in ASKS)
    if not wanted or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = (environment.get("OTEL_TRACES_EXPORTER") or "otlp").strip()
    if exporter == "none":
        return False
    if exporter != "otlp":
        raise CannotStart(f"OTEL_TRACES_EXPORTER is {shown(exporter)}; set it to otlp, or to none")
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), HTTP)
    if protocol != HTTP:
        raise CannotStart(f"OTLP is to be sent as {shown(protocol)}, and this server sends {HTTP}; set {PROTOCOLS[1]}")
    return True


class Traces:
    """The spans of one server."""

    def __init__(self, record: Record, environment: Mapping[str, str]) -> None:
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 - a tenth of a second, where it is asked for
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - as above
            TraceContextTextMapPropagator,
        )

        self._kind, self._error = SpanKind.SERVER, StatusCode.ERROR
        self._extract = TraceContextTextMapPropagator().extract
        self._provider = _provider(_resource(record, environment))
        self._tracer = self._provider.get_tracer("ml.serve")
        self._about = {
            "http.request.method": "POST",
            "http.route": ROUTE,
            "trunkline.model": record.model,
            "trunkline.version": record.version,
        }

    def tell(self, headers: Headers, *, began: float, seconds: float, code: int, rows: int) -> None:
        """A request that was answered: when it began, in seconds since 1970, how long it took, and how it ended.

        `headers` may have a `traceparent` and a `tracestate`, of whoever called; others are not looked at.
        """
        caller = {name: value for name in CALLER if (value := headers.get(name)) is not None}
        start = int(began * 1e9)
        span = self._tracer.start_span(
            f"POST {ROUTE}",
            self._extract(caller),
            kind=self._kind,
            attributes={**self._about, "http.response.status_code": code, "trunkline.rows": rows},
            start_time=start,
        )
        if code >= 500:
            span.set_status(self._error)
            span.set_attribute("error.type", str(code))
        span.end(start + int(seconds * 1e9))

    def close(self, seconds: float) -> None:
        """Send what is left, for so long at most: where nobody takes it, OpenTelemetry would try for half a minute."""
        last = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        last.start()
        last.join(seconds)


def _resource(record: Record, environment: Mapping[str, str]) -> Resource:
    """Who the spans are of: what the environment says, and beside it what the server knows."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above

    named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    name = {} if named else {"service.name": record.model}
    return Resource.create({**name, "service.version": record.version, "trunkline.model_hash": record.model_hash})


def _provider(resource: Resource) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)  # else each try is told, not only each loss
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
