"""Whether what refers to something finds it: selectors their pods, routes their Services, autoscalers their target.

An apply takes a selector that selects nothing, so only a check tells it before the traffic does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.core.manifests.objects import Finding, Pods, dig, has_all, name_of, namespace_of, of_kind, pods_of, selects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ci.core.manifests.objects import Object

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


def check(objects: Sequence[Object]) -> list[Finding]:
    """Every reference among the objects of one overlay that finds nothing, or finds too much."""
    pods = pods_of(objects)
    return [
        *_workloads(objects),
        *_services(objects, pods),
        *_selectors(objects, pods),
        *_spreads(pods),
        *_accounts(objects, pods),
        *_monitors(objects),
        *_autoscalers(objects),
        *_routes(objects, pods),
        *_rollouts(objects),
    ]


def _workloads(objects: Sequence[Object]) -> Iterator[Finding]:
    for thing in objects:
        if thing.get("kind") in WORKLOADS:
            labels = dig(thing, "spec", "template", "metadata", "labels") or {}
            if not selects(dig(thing, "spec", "selector"), labels):
                yield Finding(name_of(thing), "its selector does not select the pods of its own template")


def _services(objects: Sequence[Object], pods: Sequence[Pods]) -> Iterator[Finding]:
    for service in of_kind(objects, "Service"):
        selector = dig(service, "spec", "selector")
        if not selector:
            continue  # endpoints made by hand, or a name elsewhere
        chosen = _chosen(service, pods)
        if not chosen:
            yield Finding(name_of(service), f"its selector {_shown(selector)} selects no pods")
        for port in dig(service, "spec", "ports") or ():
            target = port.get("targetPort", port.get("port"))
            yield from (
                Finding(name_of(service), f"its target port '{target}' is no port of the pods of {one.owner}")
                for one in chosen
                if target not in _ports(one)
            )


def _selectors(objects: Sequence[Object], pods: Sequence[Pods]) -> Iterator[Finding]:
    """PodDisruptionBudgets and NetworkPolicies; `{}` is all pods of the namespace, whoever makes them."""
    for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        for thing in of_kind(objects, kind):
            selector = dig(thing, "spec", key)
            here = [one for one in pods if one.namespace == namespace_of(thing)]
            if selector != {} and not any(selects(selector, one.labels) for one in here):
                yield Finding(name_of(thing), f"its {key} {_shown(selector)} selects no pods")


def _spreads(pods: Iterable[Pods]) -> Iterator[Finding]:
    for one in pods:
        for spread in one.spec.get("topologySpreadConstraints") or ():
            # A Rollout relabels the pods of its canary; the template is what the constraint was written for.
            if not one.hashed and not selects(spread.get("labelSelector"), one.labels):
                yield Finding(one.owner, "a topologySpreadConstraint does not select the pods it is given to")


def _accounts(objects: Sequence[Object], pods: Iterable[Pods]) -> Iterator[Finding]:
    there = {(namespace_of(thing), dig(thing, "metadata", "name")) for thing in of_kind(objects, "ServiceAccount")}
    for one in pods:
        account = one.spec.get("serviceAccountName", "default")
        if account != "default" and (one.namespace, account) not in there:
            yield Finding(one.owner, f"its service account '{account}' is not among the objects")


def _monitors(objects: Sequence[Object]) -> Iterator[Finding]:
    for monitor in of_kind(objects, "ServiceMonitor"):
        selector = dig(monitor, "spec", "selector")
        chosen = [
            service
            for service in of_kind(objects, "Service", namespace_of(monitor))
            if selects(selector, dig(service, "metadata", "labels") or {})
        ]
        if not chosen:
            yield Finding(name_of(monitor), f"its selector {_shown(selector)} selects no Services")
        for endpoint in dig(monitor, "spec", "endpoints") or ():
            for service in chosen:
                if endpoint.get("port") not in {port.get("name") for port in dig(service, "spec", "ports") or ()}:
                    words = f"its endpoint's port '{endpoint.get('port')}' is no named port of {name_of(service)}"
                    yield Finding(name_of(monitor), words)


def _autoscalers(objects: Sequence[Object]) -> Iterator[Finding]:
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = dig(scaler, "spec", "scaleTargetRef") or {}
        if not any(
            target
            == {"apiVersion": one.get("apiVersion"), "kind": one.get("kind"), "name": dig(one, "metadata", "name")}
            for one in objects
            if namespace_of(one) == namespace_of(scaler)
        ):
            yield Finding(name_of(scaler), f"its target {target.get('kind')} {target.get('name')} is not there")


def _routes(objects: Sequence[Object], pods: Sequence[Pods]) -> Iterator[Finding]:
    for route in of_kind(objects, "HTTPRoute"):
        services = {dig(one, "metadata", "name"): one for one in of_kind(objects, "Service", namespace_of(route))}
        for rule in dig(route, "spec", "rules") or ():
            backends = rule.get("backendRefs") or ()
            total = sum(backend.get("weight", 1) for backend in backends)
            if len(backends) > 1 and total != 100:
                yield Finding(name_of(route), f"the weights of a rule add up to {total}, not to 100 per cent")
            copies = [dig(one, "requestMirror", "backendRef") for one in rule.get("filters") or ()]
            for backend in (*backends, *filter(None, copies)):
                service = services.get(backend.get("name"))
                if service is None:
                    yield Finding(name_of(route), f"its backend '{backend.get('name')}' is no Service of its namespace")
                elif backend.get("port") not in {port.get("port") for port in dig(service, "spec", "ports") or ()}:
                    yield Finding(name_of(route), f"{name_of(service)} has no port {backend.get('port')}")
            named = [services[backend["name"]] for backend in backends if backend.get("name") in services]
            yield from _overlaps(route, named, pods)


def _overlaps(route: Object, services: Sequence[Object], pods: Sequence[Pods]) -> Iterator[Finding]:
    """Two backends of one rule that lead to the same pods, so that the weights between them say nothing."""
    for index, service in enumerate(services):
        for other in services[:index]:
            if shared := [one for one in _chosen(service, pods) if one in _chosen(other, pods) and not one.hashed]:
                words = f"{name_of(other)} and {name_of(service)} both lead to the pods of {shared[0].owner}"
                yield Finding(name_of(route), f"{words}, so its weights split nothing")


def _rollouts(objects: Sequence[Object]) -> Iterator[Finding]:
    for rollout in of_kind(objects, "Rollout"):
        namespace = namespace_of(rollout)
        canary = dig(rollout, "spec", "strategy", "canary") or {}
        plugin = dig(canary, "trafficRouting", "plugins", "argoproj-labs/gatewayAPI") or {}
        wanted = [
            ("Deployment", dig(rollout, "spec", "workloadRef", "name"), namespace),
            ("Service", canary.get("stableService"), namespace),
            ("Service", canary.get("canaryService"), namespace),
            ("HTTPRoute", plugin.get("httpRoute"), plugin.get("namespace")),
        ]
        for step in canary.get("steps") or ():
            asked = dig(step, "analysis", "templates") or ()
            wanted += [("AnalysisTemplate", template.get("templateName"), namespace) for template in asked]
        for kind, name, where in wanted:
            if name is not None and name not in {dig(one, "metadata", "name") for one in of_kind(objects, kind, where)}:
                yield Finding(name_of(rollout), f"it names {kind} {name} in namespace {where}, which is not there")
        for one in pods_of([rollout, *of_kind(objects, "Deployment", namespace)]):
            if one.owner == name_of(rollout) and not selects(dig(rollout, "spec", "selector"), one.labels):
                yield Finding(name_of(rollout), "its selector does not select its own pods")


def _chosen(service: Object, pods: Iterable[Pods]) -> list[Pods]:
    selector = dig(service, "spec", "selector") or {}
    return [one for one in pods if one.namespace == namespace_of(service) and has_all(selector, one.labels)]


def _ports(pods: Pods) -> set[Any]:
    """Names and numbers of the ports of a pod's containers."""
    ports = [port for container in pods.spec.get("containers") or () for port in container.get("ports") or ()]
    return {port.get("name") for port in ports} | {port.get("containerPort") for port in ports}


def _shown(selector: Any) -> str:
    labels: Mapping[str, str] = dig(selector, "matchLabels") or selector or {}
    return ", ".join(f"{key}={value}" for key, value in labels.items())
