"""What Prometheus is told: counts, times and what is going on, of one model version, in labels that stay few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml.serve.model import Record

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
MODEL = ("model", "version")
PREFIX = "trunkline_serve_"


class Metrics:
    """The metrics of one server. Routes and codes are of its own making, so there are few of them."""

    def __init__(self, record: Record, taken: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self._model = model = (record.model, record.version)
        words = "Requests answered, by route and status code."
        self._requests = Counter(f"{PREFIX}requests", words, (*MODEL, "route", "code"), registry=registry)
        words = "Seconds from a request's whole body to its scores; refused requests do not count."
        seconds = Histogram(f"{PREFIX}inference_seconds", words, MODEL, buckets=SECONDS, registry=registry)
        self.seconds = seconds.labels(*model)
        self.rows = Counter(f"{PREFIX}rows", "Rows scored.", MODEL, registry=registry).labels(*model)
        words = "Requests that wait for the model or are being scored."
        Gauge(f"{PREFIX}in_flight", words, MODEL, registry=registry).labels(*model).set_function(taken)
        words = "The model that is served; always 1."
        lineage = {"model_hash": record.model_hash}
        lineage |= {name: record.lineage.get(name, "") for name in ("lock_hash", "commit")}
        info = Gauge(f"{PREFIX}model_info", words, (*MODEL, *lineage), registry=registry)
        info.labels(*model, *lineage.values()).set(1)
        ProcessCollector(registry=registry)

    def answered(self, route: str, code: int) -> None:
        """Count one answer."""
        self._requests.labels(*self._model, route, str(code)).inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics and their content type, in the form that a scraper accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
