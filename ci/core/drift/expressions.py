"""PromQL of what servers did over a window, all pods and versions of an environment together."""

from __future__ import annotations

from ci.core.canary.counts import SECONDS
from ci.core.canary.selectors import quoted
from ci.core.canary.tallies import REQUESTS, ROUTE

P = 0.99


def errors(model: str, environment: str, seconds: int) -> str:
    """The share of requests that ended with a server error."""
    return _share(model, environment, seconds, 'code=~"5.."')


def fallbacks(model: str, environment: str, seconds: int) -> str:
    """The share of requests that got no score: refused, failed or given up, whoever asked went on without the model."""
    return _share(model, environment, seconds, 'code!="200"')


def p99(model: str, environment: str, seconds: int) -> str:
    """Seconds within which 99 of 100 requests were answered, to the width of the histogram's buckets."""
    return f"histogram_quantile({P}, sum by (le) (increase({SECONDS}{{{_place(model, environment)}}}[{seconds}s])))"


def load(model: str, environment: str, seconds: int) -> str:
    """Requests a second."""
    return f"sum({_counted(model, environment, seconds)}) / {seconds}"


def _share(model: str, environment: str, seconds: int, codes: str) -> str:
    """Of all requests, those with these codes; 0 where there are others alone."""
    bad, all_ = (_counted(model, environment, seconds, more) for more in (codes, ""))
    return f"(sum({bad}) or vector(0)) / sum({all_})"


def _counted(model: str, environment: str, seconds: int, more: str = "") -> str:
    matchers = ",".join(filter(None, (_place(model, environment), f"route={quoted(ROUTE)}", more)))
    return f"increase({REQUESTS}{{{matchers}}}[{seconds}s])"


def _place(model: str, environment: str) -> str:
    return f"model={quoted(model)},environment={quoted(environment)}"
