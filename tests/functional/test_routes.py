"""The routes of an overlay as release.yaml fills them, before a real Traefik: who answers, who is only copied to."""

from __future__ import annotations

import re
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from ci.adapters import kustomize
from ci.core.manifests.overlays import placeholder
from ci.core.preview.pods import wanted
from ci.core.preview.routes import configuration, rules
from ci.core.release import dump, path_of, release
from ci.core.units import pattern
from tests.functional.test_preview_routes import Backends, backends
from tests.project import ROOT

if TYPE_CHECKING:
    from ci.core.release import Release

__all__ = ["backends"]

PATH = "/v2/models/fraud/infer"
STABLE = placeholder("registry.example.com/line", "fraud", "production").spec.stable
CANARY = STABLE.model_copy(update={"image": STABLE.image.replace("0" * 64, "2" * 64), "version": "12"})
UNITS = [sha256(f"user {number}".encode()).hexdigest() for number in range(100)]


def take(backends: Backends, made: Release) -> None:
    """Go by what kustomize makes of the overlay with this release."""
    with kustomize.scratch(ROOT, {path_of("fraud", "production"): dump(made)}) as tree:
        objects = kustomize.build(tree, "k8s/models/fraud/production")
    addresses = {owner.replace("toy-", "fraud-"): urls for owner, urls in backends.addresses.items()}
    named = f"units-{made.spec.weights.canary}-{made.spec.split}-{made.spec.shadow}"
    backends.traefik.write(configuration(rules(objects, wanted(objects)), addresses, named))
    assert backends.traefik.has(named)


def taken(backends: Backends) -> set[str]:
    """The units that the canary answers."""
    return {unit for unit in UNITS if backends.get(PATH, **{"X-Trunkline-Unit": unit}).text == "canary"}


def test_a_share_of_the_units_is_the_canarys_whatever_else_it_asks(backends: Backends) -> None:
    for weight in (5, 50):
        take(backends, release("fraud", "production", stable=STABLE, canary=CANARY, weight=weight, split="unit"))
        assert taken(backends) == {unit for unit in UNITS if re.search(pattern(weight), unit)}
    assert backends.answers(20, PATH) == {"stable": 20}, "a request of no unit is stable's"
    take(backends, release("fraud", "production", stable=STABLE, canary=CANARY, weight=50))
    assert len({backends.get(PATH, **{"X-Trunkline-Unit": UNITS[0]}).text for _ in range(8)}) == 2, "split by request"


def test_the_shadow_is_copied_to_and_answers_nobody(backends: Backends) -> None:
    take(backends, release("fraud", "production", stable=STABLE, canary=CANARY, shadow=True))
    backends.asked.clear()
    assert backends.answers(20, PATH) == {"stable": 20}
    assert backends.get("/v2/models/fraud", "GET").text == "stable"
    until = time.monotonic() + 10
    while backends.asked["canary"] < 20 and time.monotonic() < until:
        time.sleep(0.02)
    assert backends.asked == {"stable": 21, "canary": 20}, "only what is to be scored is copied"
    take(backends, release("fraud", "production", stable=STABLE))
    backends.asked.clear()
    assert backends.answers(10, PATH) == {"stable": 10}
    assert backends.asked == {"stable": 10}
