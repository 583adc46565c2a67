"""HTTPRoutes as Traefik's configuration: the same matches, in the same order of precedence, with the same weights.

Semantics: https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule. What is not known here is refused, since a
route of which a part is left out leads somewhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.core.errors import ConfigurationError
from ci.core.manifests.objects import dig, name_of, namespace_of, of_kind
from ci.core.preview.pods import selected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ci.core.manifests.objects import Object
    from ci.core.preview.pods import Wanted

HERE = ("127.0.0.1", "localhost")
"""Hosts that every route takes beside its own, so that a preview can be asked without a name service."""
EXACT, PREFIX, PATTERN = "Exact", "PathPrefix", "RegularExpression"


@dataclass(frozen=True)
class Backend:
    """A Service of a route, and the Deployments that it leads to."""

    service: str
    owners: tuple[str, ...]
    weight: int = 1


@dataclass(frozen=True)
class Rule:
    """One rule of a route for one of its matches: Traefik's rule, its rank (the higher goes first), and where to."""

    name: str
    rule: str
    rank: tuple[int, ...]
    backends: tuple[Backend, ...]
    mirrors: tuple[tuple[Backend, int], ...]
    """Each with the share of the requests that are copied to it, in per cent."""


def rules(objects: Sequence[Object], pods: Sequence[Wanted]) -> list[Rule]:
    """Every rule of every HTTPRoute, the first to be tried first. Raises ConfigurationError for what is not known."""
    found = [
        rule
        for route in sorted(of_kind(objects, "HTTPRoute"), key=lambda one: (namespace_of(one), name_of(one)))
        for rule in _rules(route, objects, pods)
    ]
    return sorted(found, key=lambda rule: rule.rank, reverse=True)


def configuration(ranked: Sequence[Rule], addresses: Mapping[str, Sequence[str]], generation: str) -> dict[str, Any]:
    """Traefik's dynamic configuration; `addresses` are the URLs of each Deployment's pods that get requests.

    A service that nothing leads to carries `generation`, by which Traefik's API tells that it has this configuration.
    """
    routers: dict[str, Any] = {}
    services: dict[str, Any] = {generation: _balanced(())}
    for place, rule in enumerate(ranked):
        for backend in (*rule.backends, *(mirror for mirror, _ in rule.mirrors)):
            services[backend.service] = _balanced([url for owner in backend.owners for url in addresses.get(owner, ())])
        target = f"{rule.name}-split"
        split = [{"name": backend.service, "weight": backend.weight} for backend in rule.backends]
        services[target] = {"weighted": {"services": split}}
        if rule.mirrors:
            copies = [{"name": mirror.service, "percent": percent} for mirror, percent in rule.mirrors]
            services[f"{rule.name}-mirrored"] = {"mirroring": {"service": target, "mirrors": copies}}
            target = f"{rule.name}-mirrored"
        routers[rule.name] = {"rule": rule.rule, "priority": len(ranked) - place, "service": target}
    return {"http": {"routers": routers, "services": services}} if routers else {"http": {"services": services}}


def told(before: Sequence[Rule], after: Sequence[Rule]) -> list[str]:
    """What other rules change, a line each."""
    known = {rule.name: rule for rule in before}
    lines = []
    for rule in after:
        old = known.get(rule.name)
        if old is None or (old.backends, old.mirrors, old.rule) == (rule.backends, rule.mirrors, rule.rule):
            continue
        shares = ", ".join(f"{one.service} {one.weight}" for one in rule.backends)
        copies = "".join(f", {percent} % copied to {one.service}" for one, percent in rule.mirrors)
        lines.append(f"route {rule.name}: {shares}{copies}" + ("" if old.rule == rule.rule else f", for {rule.rule}"))
    return lines


def _balanced(urls: Sequence[str]) -> dict[str, Any]:
    return {"loadBalancer": {"servers": [{"url": url} for url in urls], "passHostHeader": True}}


def _rules(route: Object, objects: Sequence[Object], pods: Sequence[Wanted]) -> Iterator[Rule]:
    spec = dig(route, "spec") or {}
    _known(route, "spec", spec, {"parentRefs", "hostnames", "rules"})
    hosts = [*(spec.get("hostnames") or ()), *HERE]
    if any("*" in host for host in hosts):
        raise _refused(route, "a hostname with a * is not known to a preview")
    where = " || ".join(f"Host(`{host}`)" for host in hosts)
    base = f"{namespace_of(route)}-{dig(route, 'metadata', 'name')}"
    for index, rule in enumerate(spec.get("rules") or ()):
        _known(route, f"rules[{index}]", rule, {"name", "matches", "filters", "backendRefs"})
        backends = tuple(_backend(route, one, objects, pods) for one in rule.get("backendRefs") or ())
        if not backends:
            raise _refused(route, f"rules[{index}] has no backendRefs")
        mirrors = tuple(_mirror(route, one, objects, pods) for one in rule.get("filters") or ())
        for each, match in enumerate(rule.get("matches") or ({},)):
            said, rank = _match(route, match)
            name = f"{base}-{index}-{each}"
            yield Rule(name, f"({where}) && {said}", (*rank, -index, -each), backends, mirrors)


def _match(route: Object, match: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    """Traefik's rule, and what decides which goes first: an exact path, a longer one, a method, headers, parameters."""
    _known(route, "a match", match, {"path", "headers", "queryParams", "method"})
    path = {"type": PREFIX, "value": "/", **(match.get("path") or {})}
    value = str(path["value"])
    if path["type"] == EXACT:
        parts = [f"Path({_quoted(route, value)})"]
    elif path["type"] == PREFIX:  # of whole segments: /v2/models/a is no prefix of /v2/models/ab
        stem = value.rstrip("/")
        below = f"PathPrefix({_quoted(route, stem + '/')})"
        parts = [f"(Path({_quoted(route, stem)}) || {below})" if stem else below]
    else:
        raise _refused(route, f"a path of type {path['type']} means something else to each gateway")
    headers, queries = match.get("headers") or (), match.get("queryParams") or ()
    for one in headers:
        parts.append(f"{_header(route, one)}({_quoted(route, one['name'])}, {_quoted(route, one['value'])})")
    for one in queries:
        if one.get("type", EXACT) != EXACT:
            raise _refused(route, f"a queryParam of type {one['type']} is not known to a preview")
        parts.append(f"Query({_quoted(route, one['name'])}, {_quoted(route, one['value'])})")
    if "method" in match:
        parts.append(f"Method({_quoted(route, match['method'])})")
    rank = (int(path["type"] == EXACT), len(value), int("method" in match), len(headers), len(queries))
    return " && ".join(parts), rank


def _header(route: Object, one: Mapping[str, Any]) -> str:
    """The matcher of a header. Gateways differ in whether a pattern has to match the whole value, so it must say so."""
    kind, value = one.get("type", EXACT), str(one["value"])
    if kind == EXACT:
        return "Header"
    if kind != PATTERN:
        raise _refused(route, f"a header of type {kind} is not known to a preview")
    if not (value.startswith("^") and value.endswith("$")):
        raise _refused(route, f"the pattern '{value}' means something else to each gateway; write it as ^...$")
    return "HeaderRegexp"


def _backend(route: Object, ref: Mapping[str, Any], objects: Sequence[Object], pods: Sequence[Wanted]) -> Backend:
    _known(route, "a backendRef", ref, {"group", "kind", "name", "namespace", "port", "weight"})
    name, namespace = ref.get("name"), namespace_of(route)
    there = of_kind(objects, "Service", namespace)
    service = next((one for one in there if dig(one, "metadata", "name") == name), None)
    if service is None or ref.get("kind", "Service") != "Service" or ref.get("namespace", namespace) != namespace:
        raise _refused(route, f"its backend '{name}' is no Service of its own namespace")
    ports = [port for port in dig(service, "spec", "ports") or () if port.get("port") == ref.get("port")]
    if not ports:
        raise _refused(route, f"Service {name} has no port {ref.get('port')}")
    target = ports[0].get("targetPort", ports[0]["port"])
    chosen = selected(service, pods)
    for one in chosen:
        if target not in {one.port, one.port_name}:
            raise _refused(service, f"its target port '{target}' is no port of the pods of {one.owner}")
    return Backend(f"{namespace}-{name}", tuple(one.owner for one in chosen), int(ref.get("weight", 1)))


def _mirror(
    route: Object, said: Mapping[str, Any], objects: Sequence[Object], pods: Sequence[Wanted]
) -> tuple[Backend, int]:
    if said.get("type") != "RequestMirror":
        raise _refused(route, f"a filter {said.get('type')} is not known to a preview")
    mirror = said.get("requestMirror") or {}
    _known(route, "requestMirror", mirror, {"backendRef", "percent", "fraction"})
    percent = mirror.get("percent", 100)
    if (fraction := mirror.get("fraction")) is not None:
        exact = 100 * fraction["numerator"] / fraction.get("denominator", 100)
        percent = round(exact)
        if percent != exact:
            raise _refused(route, f"it mirrors {exact:g} per cent of the requests, and Traefik knows whole per cents")
    return _backend(route, mirror.get("backendRef") or {}, objects, pods), int(percent)


def _known(route: Object, where: str, said: Mapping[str, Any], known: set[str]) -> None:
    for key in said:
        if key not in known:
            raise _refused(route, f"`{key}` in {where} is not known to a preview")


def _quoted(route: Object, text: str) -> str:
    """As Traefik quotes, which has no way to write its own quotation mark."""
    if "`" in text:
        raise _refused(route, f"'{text}' has a backquote in it")
    return f"`{text}`"


def _refused(thing: Object, words: str) -> ConfigurationError:
    return ConfigurationError(f"{name_of(thing)} of {namespace_of(thing) or 'no namespace'}: {words}.")
