"""The door to Prometheus: raw samples of counters and values of expressions, by its HTTP API.

See prometheus.io/docs/prometheus/latest/querying/api.

As with GitHub, what an answer means is decided apart from the sending: `decide` has no input or output.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ci.core.canary.counts import Series
from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "TRUNKLINE_PROMETHEUS"
TIMEOUT = (5.0, 30.0)  # seconds to connect, and between two bytes of an answer
TRIES = 4
CHUNK = 1800.0  # seconds of samples in one answer: bounded, however long nobody looked
A = TypeVar("A")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Again:
    """It may be asked again: nothing is changed by a query. `why` is a clause."""

    why: str


def address(configured: str) -> str:
    """Where Prometheus is, without a trailing slash: TRUNKLINE_PROMETHEUS before what params.yaml says.

    Raises ConfigurationError.
    """
    said = os.environ.get(VARIABLE, "").strip()
    url, where = (said, VARIABLE) if said else (configured, "params.yaml: 'release.prometheus'")
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or set("@?#\\ ") & set(url) or not url.isprintable():
        raise ConfigurationError(
            f"{where} is not the address of a Prometheus without credentials, query or fragment; write it like "
            "http://127.0.0.1:9090 (credentials are PROMETHEUS_USER and PROMETHEUS_PASSWORD, or in ~/.netrc).",
            file=None if said else "params.yaml",
        )
    return url.rstrip("/")


def decide(url: str, query: str, status: int, body: bytes, read: Callable[[Any], A | None]) -> A | Again:
    """What an answer to an instant query means; `read` finds in it what was asked for, or None.

    Raises ConfigurationError for a query that is no PromQL, EnvironmentFault for what asking again does not mend: an
    answer in part is one, since what is missing in it would be taken for what did not happen.
    """
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = None
    said = _quoted(answer)
    if status == 400 and isinstance(answer, dict):
        raise ConfigurationError(f"Prometheus at {url} does not take {query[:300]}{said}; write one it takes.")
    if status == 429 or status >= 500:
        return Again(f"Prometheus at {url} answered {status}{said}")
    if status != 200:
        raise EnvironmentFault(
            f"Prometheus at {url} answered {status} to a query{said}; check its address and what it lets in."
        )
    if (found := read(answer)) is None:
        raise EnvironmentFault(f"{url} answered a query with something that is not Prometheus' API; check the address.")
    if warnings := answer.get("warnings"):
        raise EnvironmentFault(f"Prometheus at {url} answered in part ({_line(warnings)}); run this again later.")
    return found


class Prometheus:
    """A Prometheus server. `sleep` is in seconds."""

    def __init__(self, url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        import requests  # noqa: PLC0415 - a tenth of a second, only where it is asked

        self.url = url
        self._sleep = sleep
        self._session = requests.Session()
        if urlsplit(url).hostname in LOOPBACK:
            self._session.trust_env = False  # no proxy knows of this machine's own ports
        if user := os.environ.get("PROMETHEUS_USER"):
            self._session.auth = (user, os.environ.get("PROMETHEUS_PASSWORD", ""))

    def samples(self, selector: str, start: float, end: float) -> list[Series]:
        """The raw samples of all series that `selector` selects, from `start` to `end`, in seconds of Unix time.

        Raises ConfigurationError where Prometheus does not understand the selector, EnvironmentFault where it cannot
        be asked, after some tries.
        """
        found: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
        while start < end:
            until = min(start + CHUNK, end)
            for each in self._ask(f"{selector}[{math.ceil((until - start) * 1000)}ms]", until, _series):
                found.setdefault(tuple(sorted(each.labels.items())), {}).update(each.samples)
            start = until
        return [Series(dict(labels), sorted(samples.items())) for labels, samples in sorted(found.items())]

    def value(self, expression: str, at: float) -> float | None:
        """What an expression comes to at a moment of Unix time; None where Prometheus knows nothing of it.

        Raises ConfigurationError where it is no PromQL or has more values than one, EnvironmentFault as `samples`.
        """
        values = self._ask(expression, at, _values)
        if len(values) > 1:
            raise ConfigurationError(
                f"{expression[:300]} has {len(values)} values at Prometheus; write an expression with one, as by sum()."
            )
        return values[0] if values and math.isfinite(values[0]) else None

    def require_reachable(self) -> None:
        """Raise EnvironmentFault unless it answers a query now; asked once."""
        answer = self._once("up[1s]", time.time(), _series)
        if isinstance(answer, Again):
            raise EnvironmentFault(f"{answer.why}; check that it runs and that {VARIABLE} or params.yaml names it.")

    def _ask(self, query: str, at: float, read: Callable[[Any], A | None]) -> A:
        tried = 0
        while isinstance(answer := self._once(query, at, read), Again):
            tried += 1
            if tried == TRIES:
                raise EnvironmentFault(
                    f"{answer.why}, {TRIES} times; check that it runs and that {VARIABLE} or params.yaml names it, and "
                    "run this again: nothing is lost."
                )
            print(f"{answer.why}; trying again in {2 ** (tried - 1)} s", file=sys.stderr)
            self._sleep(2.0 ** (tried - 1))
        return answer

    def _once(self, query: str, at: float, read: Callable[[Any], A | None]) -> A | Again:
        import requests  # noqa: PLC0415 - it is there by now

        try:
            # A redirect could lead to a page to log in, which answers 200.
            answer = self._session.get(
                f"{self.url}/api/v1/query",
                params={"query": query, "time": f"{at:.3f}"},
                headers={"user-agent": "trunkline"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as fault:
            return Again(f"No answer came from Prometheus at {self.url} ({type(fault).__name__})")
        return decide(self.url, query, answer.status_code, answer.content, read)


def _series(answer: Any) -> list[Series] | None:
    """The series of a matrix, without samples that are no numbers; None where it is none."""
    try:
        if answer["status"] != "success" or answer["data"]["resultType"] != "matrix":
            return None
        return [
            Series(
                {str(name): str(value) for name, value in each["metric"].items()},
                [(float(at), number) for at, value in each["values"] if math.isfinite(number := float(value))],
            )
            for each in answer["data"]["result"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _values(answer: Any) -> list[float] | None:
    """The values of a scalar or a vector; None where it is neither."""
    try:
        found, kind = answer["data"]["result"], answer["data"]["resultType"]
        if answer["status"] != "success" or kind not in {"scalar", "vector"}:
            return None
        return [float(one[1]) for one in ([found] if kind == "scalar" else [each["value"] for each in found])]
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _quoted(answer: Any) -> str:
    """Prometheus' own words in an error."""
    said = answer.get("error") if isinstance(answer, dict) else None
    return f" (“{_line(said)}”)" if said else ""


def _line(said: object) -> str:
    return " ".join(str(said).split())[:300]
