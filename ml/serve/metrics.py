"""What Prometheus is told: counts, times and what is going on, of one model version, in labels that stay few.

Requests add to plain numbers, which are put into Prometheus' form when it asks: a call of its client's own counters
costs several microseconds, a tenth of a whole request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from random import randrange
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from ml.serve.inferences import Scores
    from ml.serve.model import Record

PREFIX = "trunkline_serve_"
MODEL = ("model", "version")
# Steps of 2 ** (1/4): what becomes a fifth slower moves to another bucket.
SECONDS = tuple(float(f"{0.0001 * 2 ** (step / 4):.4g}") for step in range(67))
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
# Of probabilities, finer where they are near certain; the same for every version of a model, so that they compare.
LOW = (0.001, 0.002, 0.005, 0.01, 0.02)
SCORES = (0.0, *LOW, *(step / 20 for step in range(1, 20)), 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)
# Counted from the start: Prometheus sees no increase in what is not 0 when it is seen first.
FROM_ZERO = tuple(("infer", code) for code in (200, 400, 422, 500, 503))


class Tally:
    """A histogram's numbers: how many values lie between two edges, and their sum."""

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = edges
        self._counts = [0] * (len(edges) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._edges, value)] += 1
        self._sum += value

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulated counts by upper edge, and the sum."""
        names = [*map(floatToGoString, self._edges), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts)), strict=True)), self._sum


class Metrics(Collector):
    """The metrics of one server. Routes, codes and columns are of its own making, so there are few of them.

    All is counted in the event loop, and read there, so that no lock is needed.
    """

    def __init__(self, record: Record, taken: Callable[[], int]) -> None:
        self._record = record
        self._model = (record.model, record.version)
        self._taken = taken
        self._requests: Counter[tuple[object, ...]] = Counter(dict.fromkeys(FROM_ZERO, 0))
        self._missing: Counter[str] = Counter()
        self._unseen: Counter[str] = Counter(dict.fromkeys(record.categories, 0))
        self._rows = 0
        self.log: Callable[[], tuple[int, int]] | None = None
        """Rows that the inference log stored, and that it dropped; None where there is no log."""
        self._seconds, self._batches, self._scores = Tally(SECONDS), Tally(ROWS), Tally(SCORES)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def answered(self, route: str, code: int) -> None:
        """Count one answer."""
        self._requests[route, code] += 1

    def scored(self, scores: Scores, seconds: float) -> None:
        """Count a request's scores [n], and how long it took from its first byte to its answer.

        One of its scores goes into the histogram: rows of one request are often alike, and as many would be taken for
        as many witnesses where two versions are compared.
        """
        rows = len(scores)
        self._rows += rows
        self._seconds.add(seconds)
        self._scores.add(float(scores[randrange(rows) if rows > 1 else 0]))  # noqa: S311 - no secret

    def batched(self, rows: int) -> None:
        """Count one run of the model."""
        self._batches.add(rows)

    def missing(self, columns: Iterable[str]) -> None:
        """Count a refused request by the columns that it lacked a value of."""
        self._missing.update(columns)

    def unseen(self, counts: Mapping[str, int]) -> None:
        """Count texts that the model was not trained on, by column."""
        if counts:  # an update with nothing takes a microsecond
            self._unseen.update(counts)

    def collect(self) -> Iterator[Metric]:
        """All of them, as they are now."""
        words = "Requests answered, by route and status code."
        yield self._counter("requests", words, self._requests, "route", "code")
        words = "Refused requests that lacked a value, by feature."
        yield self._counter("missing", words, {(column,): count for column, count in self._missing.items()}, "column")
        words = "Texts scored that the model was not trained on, by feature."
        yield self._counter("unseen", words, {(column,): count for column, count in self._unseen.items()}, "column")
        yield self._counter("rows", "Rows scored.", {(): self._rows})
        if self.log:
            written, dropped = self.log()
            yield self._counter("log_written", "Rows that the inference log stored.", {(): written})
            yield self._counter("log_dropped", "Rows that the inference log will never hold.", {(): dropped})
        words = "Seconds from a scored request's first byte to its answer."
        yield self._histogram("request_seconds", words, self._seconds)
        yield self._histogram("batch_rows", "Rows scored at a time.", self._batches)
        yield self._histogram("score", "Scores, of one row of each request.", self._scores)
        words = "Requests that are being sent, wait for the model or are being scored."
        yield self._gauge("in_flight", words, {}, self._taken())
        lineage = {name: self._record.lineage.get(name, "") for name in ("lock_hash", "commit")}
        info = {"model_hash": self._record.model_hash, **lineage}
        yield self._gauge("model_info", "The model that is served; always 1.", info, 1)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics and their content type, in the form that a scraper accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _counter(self, name: str, words: str, counts: Mapping[tuple[object, ...], int], *labels: str) -> Metric:
        family = CounterMetricFamily(f"{PREFIX}{name}", words, labels=(*MODEL, *labels))
        for key, count in counts.items():
            family.add_metric(self._labels(key), count)
        return family

    def _gauge(self, name: str, words: str, labels: Mapping[str, str], value: float) -> Metric:
        family = GaugeMetricFamily(f"{PREFIX}{name}", words, labels=(*MODEL, *labels))
        family.add_metric(self._labels(labels.values()), value)
        return family

    def _histogram(self, name: str, words: str, tally: Tally) -> Metric:
        family = HistogramMetricFamily(f"{PREFIX}{name}", words, labels=MODEL)
        family.add_metric(self._model, *tally.buckets())
        return family

    def _labels(self, more: Iterable[object]) -> list[str]:
        return [*self._model, *map(str, more)]
