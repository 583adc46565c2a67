"""DVC's experiments of one model: what each changed, what came of it, and which is best."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any

from ci.core.diff import params_diff
from ci.core.errors import ConfigurationError, did_you_mean
from ci.core.records import Mode, ParamChange, Part
from ci.core.statistics.metrics import KINDS, SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DONE = "success"


class Experiment(Part):
    """An experiment that was run, or, without a name, the commit that some started from."""

    name: str | None
    commit: str
    base: str
    changed: tuple[ParamChange, ...] = ()
    metrics: dict[str, float]


def parse(shown: Any, model: str, mode: Mode) -> tuple[Experiment, ...]:
    """The experiments in what `dvc exp show --json` prints, and the commits they started from, with their metrics.

    What did not end well, and what has no metrics of this model and mode, is left out.
    """
    found = []
    for base in shown:
        if base["rev"] == "workspace" or not base.get("data"):
            continue
        start = base["rev"]
        found.append(Experiment(name=None, commit=start, base=start, metrics=_metrics(base["data"], model, mode)))
        for each in base.get("experiments") or ():
            for rev in each.get("revs") or ():
                if rev.get("data") and rev["rev"] != start and _state(each) == DONE:
                    made = Experiment(
                        name=rev["name"] or rev["rev"][:7],
                        commit=rev["rev"],
                        base=start,
                        changed=_changed(base["data"], rev["data"], model),
                        metrics=_metrics(rev["data"], model, mode),
                    )
                    found.append(made)
    return tuple(one for one in found if one.metrics)


def others(shown: Any) -> dict[str, int]:
    """How many experiments of any model are in another state than done: queued, running, failed."""
    states = Counter(_state(each) for base in shown for each in base.get("experiments") or ())
    return {state: n for state, n in sorted(states.items()) if state != DONE}


def ranked(found: Iterable[Experiment], metric: str) -> tuple[Experiment, ...]:
    """The best first, by a metric of which KINDS says which way is better; those without it last."""
    sign = -1 if KINDS[metric].higher_is_better else 1
    return tuple(sorted(found, key=lambda one: sign * one.metrics[metric] if metric in one.metrics else inf))


def chosen(metric: str | None, found: Sequence[Experiment]) -> str:
    """The metric to rank by: the one named, else the first that reports show. Raises ConfigurationError."""
    known = sorted({name for one in found for name in one.metrics} & KINDS.keys())
    if metric is None:
        return next(name for names in SHOWN.values() for name in names if name in known)
    if metric not in known:
        raise ConfigurationError(f"no experiment has a metric '{metric}'; {did_you_mean(metric, known)}")
    return metric


def _state(each: Any) -> str:
    """Of an experiment of the queue; one that was run at once, or came from elsewhere, has no executor."""
    return str((each.get("executor") or {}).get("state") or DONE)


def _metrics(data: Any, model: str, mode: Mode) -> dict[str, float]:
    values = (data.get("metrics") or {}).get(f"artifacts/{model}/{mode}/metrics.json", {}).get("data") or {}
    return {str(name): float(value) for name, value in values.items()}


def _changed(before: Any, after: Any, model: str) -> tuple[ParamChange, ...]:
    """The parameters that this model's stages read and that differ, by key alone."""
    changes = []
    for file in (f"ml/models/{model}/params.yaml", "params.yaml"):
        old, new = (((data.get("params") or {}).get(file) or {}).get("data") for data in (before, after))
        changes += [one.model_copy(update={"key": one.key.partition(":")[2]}) for one in params_diff(old, new, file)]
    return tuple(changes)
