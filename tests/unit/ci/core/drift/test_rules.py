"""How drift is judged, as a person writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from ci.adapters.files import read_yaml
from ci.core.drift.rules import Limits, Rules, parse_rules
from ci.core.errors import ConfigurationError
from ci.core.strict import Place
from tests.project import ROOT
from tests.unit.ci.core import cases

if TYPE_CHECKING:
    from pathlib import Path

PLACE = Place("ml/models/churn/params.yaml", cases.nowhere, ("drift",))


def test_a_models_own_rules_go_before_the_defaults_one_by_one() -> None:
    defaults = Rules(days=1, limits=Limits(missing=0.5))
    own = {"least_rows": 9, "limits": {"effect": 0.2}, "columns": {"a": {"statistic": "psi"}}, "log": "s3://log"}
    found = parse_rules(defaults, own, PLACE)
    assert (found.days, found.least_rows, found.log) == (1, 9, "s3://log")
    assert (found.limits.missing, found.limits.effect, found.limits.volume) == (0.5, 0.2, 0.5)
    assert found.columns["a"].statistic == "psi"
    assert parse_rules(defaults, None, PLACE) is defaults


def test_all_that_may_be_said_is_read() -> None:
    whole = """
    log: s3://bucket/log
    rows: s3://bucket/rows
    labels: labels
    days: 7
    least_rows: 500
    delay_days: 7
    persistence: 2
    false_discoveries: 0.01
    slices: [AMOUNT_BAND]
    columns: {amount: {statistic: wasserstein, effect: 0.1}, hour: {ignore: true}}
    limits: {missing: 0.05, unseen: 0.02, out_of_range: 0.02, volume: 0.5, stale_hours: 48, duplicates: 0.05}
    quality: {margin: 0.02}
    service: {errors: 0.01, p99_seconds: 0.2}
    business: {orders: {promql: "sum(rate(orders[1d]))", min: 3}, refunds: {column: refund, max: 0.1}}
    retrain: {cooldown_days: 7, least_labelled: 1000, per_week: 2, age_days: 90}
    alerts:
      - {kind: issue}
      - {kind: webhook, url_from: HOOK}
      - {kind: slack, url_from: SLACK}
      - {kind: email, to: [a@example.org], server_from: SMTP}
    """
    assert parse_rules(Rules(), yaml.safe_load(whole), PLACE).alerts[3].server_from == "SMTP"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dais: 7", "unknown key 'dais' in 'drift'; did you mean 'days'?"),
        ("days: 0", "'drift.days' is 0"),
        ("days: 1000000", "'drift.days' is 1000000; it should be less than or equal to 36500"),
        ("delay_days: 1000000", "'drift.delay_days' is 1000000"),
        ("retrain: {age_days: 1000000}", "'drift.retrain.age_days' is 1000000"),
        ("persistence: 1.5", "'drift.persistence' is 1.5"),
        ("limits: {volume: 1.0}", "'drift.limits.volume' is 1.0"),
        ("limits: {effect: .inf}", "'drift.limits.effect' is inf"),
        ("columns: {a: {statistic: wassertein}}", "did you mean 'wasserstein'?"),
        ("columns: {a: {statstic: psi}}", "did you mean 'statistic'?"),
        ("log: ''", "'drift.log' is ''; String should have at least 1 character"),
        ("slices: [a, b, a]", "slice 'a' is listed twice; keep one"),
        ("business: {a: {min: 1}}", "one of promql, sql, column; found none"),
        ("business: {a: {sql: select 1, column: b, min: 1}}", "found sql and column"),
        ("business: {a: {column: b}}", "'a' has no bound"),
        ("business: {a: {column: b, min: 2, max: 1}}", "'a' can never be within min 2 and max 1"),
        ("alerts: [{kind: fax}]", "'drift.alerts[0].kind' is 'fax'; known are: email, issue, slack, webhook"),
        ("alerts: [{kind: slack}]", "an alert of kind slack needs 'url_from'"),
        ("alerts: [{kind: issue, to: [a]}]", "an alert of kind issue takes no 'to'"),
        ("alerts: [{kind: email, server_from: SMTP, to: []}]", "'drift.alerts[0].to' is []"),
        ("alerts: [{kind: webhook, url_from: 'https://x/secret'}]", "does not belong in a file"),
        ("[a]", "'drift' is ['a']; expected keys among: log, rows"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"task: binary\ndrift:\n  {line}\n")
    data, line_of = read_yaml(path)
    with pytest.raises(ConfigurationError) as caught:
        parse_rules(Rules(), data["drift"], Place("params.yaml", line_of).at("drift"))
    assert words in caught.value.message
    assert caught.value.line in (2, 3)


def test_the_documentation_has_the_values_that_hold_where_nothing_is_said() -> None:
    text = (ROOT / "docs" / "drift.md").read_text()
    block = text.split("## What `params.yaml` says")[1].split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(block) == {"drift": Rules().model_dump()}
