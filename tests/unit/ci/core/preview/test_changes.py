from __future__ import annotations

from typing import TYPE_CHECKING

from ci.core.preview.changes import Health, Seen, pause, plan
from ci.core.preview.pods import wanted
from tests.unit.ci.core.preview.objects import deployment

if TYPE_CHECKING:
    from ci.core.preview.pods import Wanted


def want(replicas: int = 2, version: str = "2") -> Wanted:
    return wanted([deployment("stable", replicas=replicas, version=version)])[0]


NEW, OLD = want(), want(version="1")
OWNER = NEW.owner


def seen(name: str, one: Wanted = NEW, *, ready: bool = True, leaves: bool = False) -> Seen:
    return Seen(name, one.owner, one.key, ready, leaves)


def test_nothing_runs_yet() -> None:
    made = plan([NEW], [])
    assert [(one.key, count) for one, count in made.start] == [(NEW.key, 2)]
    assert made.serving == {OWNER: []}
    assert not made.leave


def test_old_pods_serve_until_all_new_ones_are_ready_and_then_go() -> None:
    old = [seen("a", OLD), seen("b", OLD)]
    made = plan([NEW], [*old, seen("c"), seen("d", ready=False)])
    assert (made.start, made.leave, made.serving) == ([], [], {OWNER: ["a", "b"]})
    made = plan([NEW], [*old, seen("c"), seen("d")])
    assert (made.start, made.leave, made.serving) == ([], ["a", "b"], {OWNER: ["c", "d"]})


def test_new_pods_serve_as_they_get_ready_where_no_old_one_does() -> None:
    made = plan([NEW], [seen("a", OLD, ready=False), seen("c"), seen("d", ready=False)])
    assert made.serving == {OWNER: ["c"]}
    assert not made.leave


def test_a_change_that_is_taken_back_in_its_midst_lets_the_new_ones_go() -> None:
    made = plan([OLD], [seen("a", OLD), seen("b", OLD), seen("c", ready=False)])
    assert (made.leave, made.serving) == (["c"], {OWNER: ["a", "b"]})


def test_more_and_fewer_replicas() -> None:
    assert [count for _, count in plan([want(3)], [seen("a"), seen("b")]).start] == [1]
    made = plan([want(1)], [seen("a"), seen("b"), seen("c", ready=False)])
    assert (made.leave, made.serving) == (["c", "b"], {OWNER: ["a"]})
    made = plan([want(0)], [seen("a")])
    assert (made.leave, made.serving) == (["a"], {OWNER: []})


def test_a_deployment_that_is_gone_lets_its_pods_go_once() -> None:
    made = plan([], [seen("a"), seen("b", leaves=True)])
    assert (made.leave, made.serving) == (["a"], {})


def test_a_pod_that_leaves_is_replaced() -> None:
    assert [count for _, count in plan([NEW], [seen("a"), seen("b", leaves=True)]).start] == [1]


def test_a_container_is_started_again_at_once_and_then_ever_later() -> None:
    assert [pause(number) for number in (1, 2, 3, 4, 99)] == [0, 1, 2, 4, 30]


def test_probes_are_counted_as_the_kubelet_does() -> None:
    one = want()
    health = Health.of(one)
    assert health.due(one) == ("startup",)
    health = health.after("startup", one, content=False).after("startup", one, content=False)
    assert not health.broken
    assert health.after("startup", one, content=False).broken
    health = health.after("startup", one, content=True)
    assert (health.started, health.ready, health.due(one)) == (True, False, ("readiness", "liveness"))
    health = health.after("readiness", one, content=True)
    assert health.ready
    health = health.after("readiness", one, content=False)
    assert health.ready
    assert health.after("readiness", one, content=True).after("readiness", one, content=False).ready
    assert not health.after("readiness", one, content=False).ready
    for _ in range(2):
        health = health.after("liveness", one, content=False)
    assert not health.broken
    assert health.after("liveness", one, content=False).broken


def test_a_pod_without_probes_is_ready_at_once() -> None:
    made = deployment("stable")
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        del made["spec"]["template"]["spec"]["containers"][0][name]
    (one,) = wanted([made])
    assert Health.of(one).ready
    assert Health.of(one).due(one) == ()
