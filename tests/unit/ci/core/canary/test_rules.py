"""How a rollout is judged, as a person writes it; and the selectors that are made of it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ci.core.canary.rules import Rules, parse_rules
from ci.core.canary.selectors import of_server, of_track, wrong
from ci.core.errors import ConfigurationError
from ci.core.strict import Place
from tests.project import ROOT

PLACE = Place("ml/models/churn/params.yaml", lambda where: 7 if where[-1:] == ("numerator",) else 3, ("rollout",))


def business(numerator: str) -> dict[str, Any]:
    return {
        "business": {
            "orders": {"numerator": numerator, "denominator": 'sessions_total{track="$track"}', "worse": "lower"}
        }
    }


def test_a_models_own_rules_go_before_the_defaults_one_by_one() -> None:
    defaults = Rules(minutes=20)
    found = parse_rules(defaults, {"requests": 9, "slos": {"p99_seconds": 0.2}, "tolerated": {"slow": 1.1}}, PLACE)
    assert (found.minutes, found.requests) == (20, 9)
    assert (found.slos.errors, found.slos.p99_seconds) == (0.01, 0.2)
    assert (found.tolerated.errors, found.tolerated.slow) == (1.2, 1.1)
    assert parse_rules(defaults, None, PLACE) is defaults


@pytest.mark.parametrize(
    "selector",
    [
        'orders_total{track="$track"}',
        '  shop:orders_total { track = \'$track\', shop=~"a|b\\"}", }',
        'orders_total{track=~"x-$track"}',
    ],
)
def test_a_selector_is_a_counter_with_its_labels(selector: str) -> None:
    assert wrong(selector) is None
    assert parse_rules(Rules(), business(selector), PLACE).business["orders"].numerator == selector


@pytest.mark.parametrize(
    "selector",
    [
        'sum(orders_total{track="$track"})',
        'rate(orders_total{track="$track"}[5m])',
        'orders_total{track="$track"}[5m]',
        'orders_total{track="$track"} or vector(1)',
        'orders_total{track="$track"}[1m] # ',
        'orders_total{track="$track"} offset 5m',
        'orders_total{track="$track}',
        'orders_total{track="$track"} + orders_total{track="canary"}',
        "orders_total_$track",
    ],
)
def test_an_expression_is_refused_with_what_to_write(selector: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"params.yaml:7: the selector of 'orders' .* one counter with its lab"
    ):
        parse_rules(Rules(), business(selector), PLACE)


def test_a_selector_says_which_track_it_is_of() -> None:
    with pytest.raises(ConfigurationError, match=r'does not say which track it is of; write track="\$track"'):
        parse_rules(Rules(), business("orders_total{}"), PLACE)
    assert of_track('a{track="$track"}', "canary") == 'a{track="canary"}'


def test_names_cannot_break_out_of_a_selector() -> None:
    assert of_server({"up"}, model='x"} or up{a="\\') == '{__name__="up",model="x\\"} or up{a=\\"\\\\"}'
    assert of_server({"b", "a"}, version="1") == '{__name__=~"a|b",version="1"}'


def test_the_documentation_has_the_values_that_hold_where_nothing_is_said() -> None:
    text = (ROOT / "docs" / "canary.md").read_text()
    block = text.split("## What `params.yaml` says")[1].split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(block) == {"rollout": Rules().model_dump()}
