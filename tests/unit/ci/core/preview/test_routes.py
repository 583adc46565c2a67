from __future__ import annotations

from typing import Any

import pytest

from ci.core.errors import ConfigurationError
from ci.core.preview.pods import wanted
from ci.core.preview.routes import Rule, configuration, rules
from tests.unit.ci.core.preview.objects import deployment, everything, match, route, rule, service

HOSTS = "(Host(`production.models.example.com`) || Host(`127.0.0.1`) || Host(`localhost`))"
PATH = "(Path(`/v2/models/toy`) || PathPrefix(`/v2/models/toy/`))"
STABLE, CANARY = "toy-production-server-stable", "toy-production-server-canary"


def ranked(*routes: dict[str, Any]) -> list[Rule]:
    objects = everything(*routes)
    return rules(objects, wanted(objects))


def refused(words: str, *routes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ranked(*routes)


def header(value: str, kind: str = "RegularExpression") -> dict[str, Any]:
    return {"type": kind, "name": "X-Unit", "value": value}


def mirror(**more: Any) -> dict[str, Any]:
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "server-canary", "port": 80}, **more}}


def test_weights_and_addresses_become_services() -> None:
    made = configuration(
        ranked(), {"toy-production/server-stable": ["http://127.0.0.1:1", "http://127.0.0.1:2"]}, "g-1"
    )
    http = made["http"]
    assert http["routers"] == {
        "toy-production-server-0-0": {
            "rule": f"{HOSTS} && {PATH}",
            "priority": 1,
            "service": "toy-production-server-0-0-split",
        }
    }
    assert http["services"]["toy-production-server-0-0-split"]["weighted"]["services"] == [
        {"name": STABLE, "weight": 95},
        {"name": CANARY, "weight": 5},
    ]
    servers = {name: http["services"][name]["loadBalancer"]["servers"] for name in (STABLE, CANARY, "g-1")}
    assert servers == {STABLE: [{"url": "http://127.0.0.1:1"}, {"url": "http://127.0.0.1:2"}], CANARY: [], "g-1": []}


def test_what_says_more_of_a_request_goes_first() -> None:
    units = route(rule(None, 1, matches=[match(headers=[header("^[0-4].*$")])]), name="units")
    exact = route(rule(1, None, matches=[{"path": {"type": "Exact", "value": "/v2"}}]), name="exact")
    longer = route(rule(1, None, matches=[{"path": {"value": "/v2/models/toy/infer"}}]), name="longer")
    method = route(rule(1, None, matches=[match(method="POST")]), name="method")
    names = [
        one.name.split("-")[2] if "units" not in one.name else "units"
        for one in ranked(route(rule()), units, exact, longer, method)
    ]
    assert names == ["exact", "longer", "method", "units", "server"]


def test_headers_methods_and_parameters_are_matched() -> None:
    asked = match(
        headers=[header("^a.*$"), header("b", "Exact")],
        queryParams=[{"name": "q", "value": "1"}],
        method="POST",
    )
    (one,) = ranked(route(rule(matches=[asked])))
    told = ("HeaderRegexp(`X-Unit`, `^a.*$`)", "Header(`X-Unit`, `b`)", "Query(`q`, `1`)", "Method(`POST`)")
    assert one.rule == " && ".join((HOSTS, PATH, *told))


def test_each_match_is_a_router_and_no_match_is_every_path() -> None:
    one, two = ranked(route(rule(matches=[match(), {"path": {"type": "Exact", "value": "/x"}}])))
    assert (one.name, two.name) == ("toy-production-server-0-1", "toy-production-server-0-0")
    made = rule()
    del made["matches"]
    assert ranked(route(made))[0].rule == f"{HOSTS} && PathPrefix(`/`)"


@pytest.mark.parametrize(
    ("said", "percent"),
    [
        ({}, 100),
        ({"percent": 20}, 20),
        ({"fraction": {"numerator": 1, "denominator": 4}}, 25),
        ({"fraction": {"numerator": 3}}, 3),
    ],
)
def test_copies_go_to_the_mirror(said: dict[str, Any], percent: int) -> None:
    made = ranked(route(rule(100, None, filters=[mirror(**said)])))
    services = configuration(made, {}, "g")["http"]["services"]
    assert services["toy-production-server-0-0-mirrored"] == {
        "mirroring": {"service": "toy-production-server-0-0-split", "mirrors": [{"name": CANARY, "percent": percent}]}
    }
    assert CANARY in services


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ("`timeouts` in rules", route(rule(timeouts={"request": "1s"}))),
        ("`sessionPersistence` in rules", route(rule(sessionPersistence={}))),
        ("`useDefaultGateways` in spec", route(rule(), useDefaultGateways="All")),
        ("`filters` in a backendRef", route(rule(backendRefs=[{"name": "server-stable", "port": 80, "filters": []}]))),
        ("a filter URLRewrite is not known", route(rule(filters=[{"type": "URLRewrite"}]))),
        ("it mirrors 0.1 per cent", route(rule(filters=[mirror(fraction={"numerator": 1, "denominator": 1000})]))),
        (
            "a path of type RegularExpression",
            route(rule(matches=[{"path": {"type": "RegularExpression", "value": "/a"}}])),
        ),
        (
            "the pattern 'a' means something else to each gateway; write it as",
            route(rule(matches=[match(headers=[header("a")])])),
        ),
        ("a header of type Other", route(rule(matches=[match(headers=[header("a", "Other")])]))),
        ("a queryParam of type", route(rule(matches=[match(queryParams=[{**header("^a$"), "name": "q"}])]))),
        ("has a backquote", route(rule(matches=[match(method="`")]))),
        ("is no Service of its own namespace", route(rule(backendRefs=[{"name": "other", "port": 80}]))),
        (
            "is no Service of its own namespace",
            route(rule(backendRefs=[{"name": "server-stable", "port": 80, "namespace": "x"}])),
        ),
        ("Service server-stable has no port 81", route(rule(backendRefs=[{"name": "server-stable", "port": 81}]))),
        ("has no backendRefs", route(rule(backendRefs=[]))),
        ("a hostname with a", route(rule(), hostnames=["*.example.com"])),
    ],
)
def test_what_is_not_known_is_refused(words: str, made: dict[str, Any]) -> None:
    refused(words, made)


def test_a_target_port_that_no_pod_has_is_refused() -> None:
    bad = service("stable")
    bad["spec"]["ports"][0]["targetPort"] = "grpc"
    objects = [deployment("stable"), bad, route(rule(1, None))]
    with pytest.raises(
        ConfigurationError, match="its target port 'grpc' is no port of the pods of toy-production/server-stable"
    ):
        rules(objects, wanted(objects))
