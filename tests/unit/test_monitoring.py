"""Rules and dashboard: what they ask for is exposed, and a dashboard is one that Grafana takes."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import jsonschema
import pytest
import yaml

from ci.core.drift.rules import Limits, Service
from tests import promql
from tests.project import ROOT

FOLDER = ROOT / "k8s" / "monitoring"
DASHBOARD = json.loads((FOLDER / "dashboards" / "trunkline.json").read_text())
GROUPS = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
VALUES = {"rate_interval": "5m", "threshold": "0.5"}
WIDTH = 24
OWN = {"ALERTS": {"alertname", "alertstate", "severity", "model", "environment"}}
"""What Prometheus itself keeps of alerts that fire."""


def known() -> dict[str, set[str]]:
    """What may be asked for, and the labels of each: a server's, drift's, and what rules record of them."""
    served = {name: labels | promql.GIVEN_BY_CLUSTER for name, labels in promql.served().items()}
    recorded = {
        rule["record"]: {"model", "environment"} | ({"column"} if rule["record"].startswith("column:") else set())
        for rule in RULES
        if "record" in rule
    }
    return OWN | served | promql.drifting() | recorded


def plain(expression: str) -> str:
    """An expression of a panel as Grafana sends it."""
    return promql.VARIABLE.sub(lambda found: VALUES.get(found[1].strip("_"), "x"), expression)


def asked(expression: str) -> None:
    """Hold the selectors of an expression to what is exposed."""
    exposed = known()
    edges = promql.edges()
    for selector in promql.selectors(expression):
        name = str(selector.name)
        assert name in exposed, f"nothing is called {name}"
        assert promql.labels(selector) <= exposed[name], name
        for matcher in selector.matchers.matchers:
            assert matcher.name != "le" or matcher.value in edges[name], f"{name} has no edge {matcher.value}"


# --- rules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_is_exposed(rule: Any) -> None:
    asked(rule["expr"])


def test_whatever_is_recorded_is_asked_for() -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    expressions = [rule["expr"] for rule in RULES if "alert" in rule]
    expressions += [plain(target["expr"]) for panel in PANELS for target in panel["targets"]]
    assert recorded == recorded & {str(one.name) for text in expressions for one in promql.selectors(text)}


def test_alerts_have_the_limits_that_drift_has() -> None:
    found = {rule.get("alert"): re.search(r"> ([\d.]+)", rule["expr"]) for rule in RULES}
    limits = {alert: float(match[1]) for alert, match in found.items() if match}
    assert limits["ModelValuesMissing"] == Limits().missing
    assert limits["ModelValuesUnseen"] == Limits().unseen
    assert limits["ModelDriftStale"] * 24 == Limits().stale_hours
    budget = {
        float(rule["expr"].split("* ")[1].split()[0]) for rule in RULES if rule.get("alert") == "ModelBudgetBurning"
    }
    assert budget == {Service().errors}


# --- the dashboard ---------------------------------------------------------------------------------


def test_grafanas_own_types_take_the_dashboard() -> None:
    schema = json.loads((ROOT / "tests" / "grafana" / "dashboard.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(DASHBOARD)] == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panels_ask_for_what_is_exposed(panel: Any) -> None:
    assert panel["description"].endswith(".")
    letters = [target["refId"] for target in panel["targets"]]
    assert letters == sorted(set(letters))
    for target in panel["targets"]:
        assert promql.selectors(plain(target["expr"]))
        asked(plain(target["expr"]))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_the_expression_leaves(panel: Any) -> None:
    for target in panel["targets"]:
        kept = {label.strip() for found in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in found.split(",")}
        kept |= {"column"} if "column:" in target["expr"] else set()
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept


def test_every_panel_is_of_the_chosen_model_and_source() -> None:
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            for selector in promql.selectors(target["expr"].replace("$__rate_interval", "5m")):
                matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
                assert matchers["model"] == "$model"


def test_variables_are_declared_and_used() -> None:
    text = json.dumps(DASHBOARD)
    used = {name for name in promql.VARIABLE.findall(text) if not name.startswith("__")}
    assert used == VARIABLES.keys()
    assert VARIABLES["datasource"]["type"] == "datasource"
    edges = promql.edges()["trunkline_serve_score_bucket"]
    assert set(VARIABLES["threshold"]["query"].split(",")) <= edges
    for variable in VARIABLES.values():
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert found
            asked(plain(found[1]))
            (selector,) = promql.selectors(plain(found[1]))
            assert found[2] in known()[str(selector.name)]


def test_panels_have_ids_and_places_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places = {panel["title"]: panel["gridPos"] for panel in DASHBOARD["panels"]}
    assert len(places) == len(ids), "titles are unique"
    for place in places.values():
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= WIDTH
    for (one, a), (two, b) in combinations(places.items(), 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart |= a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{one} overlaps {two}"
    area = sum(place["w"] * place["h"] for place in places.values())
    assert area == WIDTH * max(place["y"] + place["h"] for place in places.values()), "no gaps"


# --- what is written of it -------------------------------------------------------------------------


def layout() -> str:
    """The dashboard's rows and panels as they lie, four characters a column of its grid."""
    lines: list[str] = []
    for y in sorted({panel["gridPos"]["y"] for panel in DASHBOARD["panels"]}):
        here = sorted((p for p in DASHBOARD["panels"] if p["gridPos"]["y"] == y), key=lambda p: p["gridPos"]["x"])
        if here[0]["type"] == "row":
            lines.append(here[0]["title"])
            continue
        edge = "+" + "".join("-" * (4 * p["gridPos"]["w"] - 1) + "+" for p in here)
        texts = [[f" {p['title']}", f" {p['type']}"] for p in here]
        lines.append(edge)
        for index in range(2):
            cells = (text[index].ljust(4 * p["gridPos"]["w"] - 1) for text, p in zip(texts, here, strict=True))
            lines.append("|" + "|".join(cells) + "|")
        lines.append(edge)
    return "\n".join(lines)


def test_the_picture_in_the_docs_is_the_dashboards() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    assert f"```\n{layout()}\n```" in text, layout()


def test_alerts_and_metrics_are_documented() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    for rule in RULES:
        assert f"`{rule.get('alert') or rule['record']}" in text
    assert set(re.findall(r"`(trunkline_drift_\w+)", text)) == promql.drifting().keys()
