"""Spans as a collector gets them: by OTLP over HTTP, decoded with OpenTelemetry's own messages."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ml.serve.errors import CannotStart
from ml.serve.model import Record
from ml.serve.traces import Traces, are_asked_for
from tests.unit.ml.serve.collector import Collector, attributes, collecting

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = Record("toy", "0123456789abcdef" * 2, {})
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOT_SAMPLED = PARENT[:-2] + "00"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        yield server


def test_a_request_is_a_span_of_its_callers_trace(collector: Collector) -> None:
    traces = Traces(RECORD, {})
    traces.tell({"traceparent": PARENT, "tracestate": "a=b"}, began=1.5, seconds=0.25, code=200, rows=7)
    traces.close(20)
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == tuple(PARENT.split("-")[1:3])
    assert (span.name, span.kind, span.trace_state) == (
        "POST /v2/models/{model_name}/infer",
        span.SPAN_KIND_SERVER,
        "a=b",
    )
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_500_000_000, 1_750_000_000)
    assert attributes(span) == {
        "http.request.method": "POST",
        "http.route": "/v2/models/{model_name}/infer",
        "http.response.status_code": 200,
        "trunkline.model": "toy",
        "trunkline.version": "0123456789ab",
        "trunkline.rows": 7,
    }
    resource = attributes(collector.got[0].resource_spans[0].resource)
    assert (resource["service.name"], resource["service.version"]) == ("toy", "0123456789ab")


def test_without_a_caller_it_begins_a_trace(collector: Collector) -> None:
    traces = Traces(RECORD, {})
    for parent in ({}, {"traceparent": "nonsense"}):
        traces.tell(parent, began=1.0, seconds=1.0, code=503, rows=0)
    traces.tell({"traceparent": NOT_SAMPLED}, began=1.0, seconds=1.0, code=200, rows=1)  # its caller does not want it
    traces.close(20)
    one, other = collector.spans
    assert one.trace_id != other.trace_id
    assert one.parent_span_id == other.parent_span_id == b""
    assert one.status.code == one.status.STATUS_CODE_ERROR
    assert attributes(one)["error.type"] == "503"


def test_a_service_is_called_as_the_environment_says(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "scores")
    traces = Traces(RECORD, {"OTEL_SERVICE_NAME": "scores"})
    traces.tell({}, began=1.0, seconds=1.0, code=200, rows=1)
    traces.close(20)
    assert attributes(collector.got[0].resource_spans[0].resource)["service.name"] == "scores"


def test_a_collector_that_is_not_there_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    traces = Traces(RECORD, {})
    began = time.monotonic()
    for _ in range(5_000):
        traces.tell({}, began=1.0, seconds=1.0, code=200, rows=1)
    traces.close(0.1)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": ""}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/t", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, False),
    ],
)
def test_they_are_made_where_they_are_asked_for(environment: dict[str, str], asked: bool) -> None:
    assert are_asked_for(environment) is asked


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; set it to otlp"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "'grpc', and this server sends http/pro",
        ),
    ],
)
def test_what_the_image_cannot_do_is_told(environment: dict[str, str], words: str) -> None:
    with pytest.raises(CannotStart, match=words):
        are_asked_for(environment)


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, ml.serve.traces; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
