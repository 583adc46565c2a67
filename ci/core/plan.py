"""Decides which models a change touches, from changed paths, `dvc status` and two versions of dvc.lock."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.core.errors import ConfigurationError
from ci.core.loglines import quiet
from ci.core.records import Plan
from ci.core.scope import scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

MOST = 256  # jobs that GitHub makes of one matrix


@dataclass(frozen=True)
class Evidence:
    """What git and DVC say of a change.

    `paths` differ from `base`; `stale` is `dvc status --json`; the locks are the stages of dvc.lock by name; the
    pins are the hashes of data by path. `unlisted` are folders of ml/models that were models of their own at `base`,
    with a params.yaml, though the root params.yaml does not list them now.
    """

    base: str | None
    shallow: bool = False
    paths: Sequence[str] = ()
    stale: Mapping[str, Any] = field(default_factory=dict)
    lock_before: Mapping[str, Any] = field(default_factory=dict)
    lock_after: Mapping[str, Any] = field(default_factory=dict)
    pins_before: Mapping[str, str] = field(default_factory=dict)
    pins_after: Mapping[str, str] = field(default_factory=dict)
    unlisted: Collection[str] = ()


def decide(models: Sequence[str], evidence: Evidence) -> Plan:
    """Say which models, in the order given, have to be checked, and why.

    Raises ConfigurationError for more of them than one workflow can check.
    """
    if evidence.base is None:
        why = _no_baseline(shallow=evidence.shallow)
        _require_few(models)
        return Plan(base_commit=None, models=tuple(models), reasons=dict.fromkeys(models, (why,)), words=why)
    reasons = {
        model: (*_by_path(model, models, evidence), *_by_data(model, models, evidence), *_by_dvc(model, evidence))
        for model in models
    }
    touched = {model: why for model, why in reasons.items() if why}
    _require_few(touched)
    return Plan(
        base_commit=evidence.base,
        models=tuple(touched),
        reasons=touched,
        words=_words(models, touched, evidence),
    )


def _require_few(models: Collection[str]) -> None:
    if len(models) > MOST:
        raise ConfigurationError(
            f"This change touches {len(models)} models, and GitHub makes at most {MOST} jobs of one matrix; "
            "split the change, or the repository."
        )


def _by_path(model: str, models: Sequence[str], evidence: Evidence) -> Iterator[str]:
    kinds: dict[str, list[str]] = defaultdict(list)
    for path in evidence.paths:
        touched, why = scope(path, models, evidence.unlisted)
        if model in touched:
            kinds[why].append(path)
    for why, paths in kinds.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield f"{quiet(paths[0])}{more} changed" + ("" if why == "its own" else f": {why}")


def _by_dvc(model: str, evidence: Evidence) -> Iterator[str]:
    before, after, stale = evidence.lock_before, evidence.lock_after, evidence.stale
    stages = _stages(model, {**before, **after, **stale})
    if relocked := [stage for stage in stages if before.get(stage) != after.get(stage)]:
        yield quiet(f"dvc.lock has other entries than the base: {', '.join(relocked)}")
    for stage in stages:
        if stage in stale and stage not in after:
            yield quiet(f"dvc.lock has no entry for {stage} yet")
        elif changed := ", ".join(changes(stale.get(stage, ()))):
            yield quiet(f"dvc.lock is behind {stage}: {changed}")


def _stages(model: str, names: Mapping[str, Any]) -> list[str]:
    """The stages of one model as the pull-request check runs them: full training is not for it to judge."""
    return [name for name in names if name.partition("@")[2] in (model, f"{model}-smoke")]


def changes(said: Sequence[Any]) -> Iterator[str]:
    """The causes in DVC's reasons for one stage, from its status.

    What a fresh clone lacks ('deleted') is no change, nor are outputs, or inputs that another stage makes:
    those follow from their causes.
    """
    for item in said:
        if isinstance(item, str):
            yield item
            continue
        for path, state in item.get("changed deps", {}).items():
            if isinstance(state, dict):
                yield from (f"{key} {how} in {path}" for key, how in state.items())
            elif state != "deleted" and not path.startswith("artifacts/"):
                yield f"{path} {state}"


def _by_data(model: str, models: Sequence[str], evidence: Evidence) -> Iterator[str]:
    """The pinned paths with another hash than at the base, but for those that hold another model's data alone."""
    for path in sorted(evidence.pins_before.keys() | evidence.pins_after.keys()):
        before, after = evidence.pins_before.get(path), evidence.pins_after.get(path)
        owner = next((one for one in models if f"{path}/".startswith(f"data/{one}/")), model)
        if before != after and owner == model:
            how = "is new" if before is None else "is gone" if after is None else "is not the base's"
            yield f"the data pinned as {quiet(path)} {how}"


def _no_baseline(*, shallow: bool) -> str:
    if shallow:
        return (
            "this clone is shallow and lacks the commit that the change started from, so every model is checked; "
            "fetch the history (`fetch-depth: 0` in actions/checkout, or `git fetch --unshallow`)"
        )
    return "there is no earlier commit to compare with, so every model is checked"


def _words(models: Sequence[str], touched: Mapping[str, Sequence[str]], evidence: Evidence) -> str:
    gone = (
        f"; no longer listed, so no longer checked: {', '.join(sorted(evidence.unlisted))}" if evidence.unlisted else ""
    )
    if not touched:
        paths = len(evidence.paths)
        return (
            f"nothing that a model is made of or judged by changed ({paths} changed paths, {len(models)} models){gone}"
        )
    return f"{len(touched)} of {len(models)} models touched: {', '.join(touched)}{gone}"
