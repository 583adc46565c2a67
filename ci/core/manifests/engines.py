"""Which engine splits the traffic of an overlay, and whether one that steps by itself takes params.yaml's steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ci.core.manifests.objects import Finding, dig, name_of, of_kind
from ci.core.manifests.places import ENGINES, parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ci.core.manifests.objects import Object
    from ci.core.params import Environment

ARGO = "argo-rollouts"
WEIGHT = "weight"

Taken = tuple[Literal["wait", "set", "ask"], int]


def engine_of(folder: str, kustomization: Mapping[str, Any]) -> str | None:
    """The engine that an overlay takes in (`gateway-api`, `argo-rollouts`); `folder` is from the repository's root."""
    named = (part.removeprefix(ENGINES) for part in parts(folder, kustomization) if part.startswith(ENGINES))
    return next(named, None)


def steps(objects: Sequence[Object], rules: Environment) -> list[Finding]:
    """Rollouts that take other steps than params.yaml says.

    At each share before the last one the evidence on that share is asked for; a step that is to be approved waits for
    a person before it. The last step, all of the traffic, is implied.
    """
    wanted = list(_wanted(rules))
    return [
        Finding(name_of(rollout), f"its steps {_said(taken)}, but params.yaml's {_said(wanted)}; patch the overlay")
        for rollout in of_kind(objects, "Rollout")
        if (taken := list(_taken(dig(rollout, "spec", "strategy", "canary", "steps") or ()))) != wanted
    ]


def _wanted(rules: Environment) -> Iterator[Taken]:
    for step in rules.steps:
        if step in rules.approve:
            yield "wait", 0
        if step != 100:
            yield "set", step
            yield "ask", step


def _taken(steps: Sequence[Mapping[str, Any]]) -> Iterator[Taken]:
    for step in steps:
        if "setWeight" in step:
            yield "set", step["setWeight"]
        if step.get("pause") == {}:
            yield "wait", 0
        for arg in dig(step, "analysis", "args") or ():
            if arg.get("name") == WEIGHT:
                yield "ask", int(arg["value"]) if str(arg.get("value")).isdecimal() else -1


def _said(taken: Sequence[Taken]) -> str:
    words = {"wait": "wait for a person", "set": "set {} %", "ask": "ask about {} %"}
    return ", ".join(words[kind].format(number) for kind, number in taken) or "do nothing"
