"""Rules and dashboard with Prometheus itself: over made time series, and over what a server and drift really expose."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml

from ci.core.drift.exposition import exposition
from tests import promql
from tests.functional.serving import patiently, served
from tests.functional.test_prometheus import serving
from tests.project import ROOT
from tests.prometheus import require, running
from tests.unit.ci.core.drift.drifts import BOUNDS, MEASURED, drift
from tests.unit.ml.serve import models
from tests.unit.test_monitoring import GROUPS, PANELS, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functional.serving import Served

SERIES = sorted((ROOT / "tests" / "functional" / "promtool").glob("*.yaml"))
LABELS = {"environment": "production", "track": "stable"}
MODEL = "fraud"
CHOSEN = {"model": MODEL, "environment": "production", "track": ".*", "version": ".*", "threshold": "0.5"}
NOTHING_YET = {"Unseen categories", "Inference log"}
"""Panels of what did not happen to this server."""


def written(folder: Path) -> Path:
    """The rules as Prometheus reads them, without the operator."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": GROUPS}))
    return path


def promtool(*args: str | Path, cwd: Path) -> str:
    require("promtool")
    done = subprocess.run(["promtool", *map(str, args)], cwd=cwd, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "--lint-fatal", written(tmp_path), cwd=tmp_path)


@pytest.mark.parametrize("series", SERIES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_end(series: Path, tmp_path: Path) -> None:
    written(tmp_path)
    shutil.copy2(series, tmp_path)
    promtool("test", "rules", series.name, cwd=tmp_path)


def test_every_alert_has_time_series() -> None:
    tested = {
        alert["alertname"]
        for path in SERIES
        for test in yaml.safe_load(path.read_text())["tests"]
        for alert in test["alert_rule_test"]
        if alert["exp_alerts"]
    }
    assert tested == {rule["alert"] for rule in RULES if "alert" in rule}


# --- what is really exposed ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has seen a server at work, and what a window has shown."""
    folder = tmp_path_factory.mktemp("monitoring")
    text = exposition(drift(), judged=datetime.now(UTC), business=MEASURED, bounds=BOUNDS)
    model = models.pack(folder / "model", models.matrix(), MODEL)
    with (
        served(model) as server,
        serving(lambda *_: (200, "text/plain; version=0.0.4", text)) as textfile,
        running(folder / "prometheus", config(folder, server.url, textfile)) as url,
    ):
        for _ in patiently():
            work(server)
            if ask(url, f'rate(trunkline_serve_score_count{{model="{MODEL}"}}[1m])') and ask(
                url, "trunkline_drift_alarms"
            ):
                break
        time.sleep(3)  # rules are evaluated each second, some on what others have recorded
        work(server)
        yield url


def config(folder: Path, *urls: str) -> str:
    """prometheus.yml: both are scraped often, and the rules evaluated as often."""
    jobs = []
    for name, url, labels in zip(("server", "drift"), urls, (LABELS, {}), strict=True):
        targets = [{"targets": [url.removeprefix("http://")], "labels": labels}]
        jobs.append({"job_name": name, "static_configs": targets, "honor_labels": name == "drift"})
    often = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{**group, "interval": "500ms"} for group in GROUPS]}))
    return json.dumps({"global": often, "rule_files": [str(rules)], "scrape_configs": jobs})


def work(server: Served) -> None:
    """Requests that are answered, that lack a value, and that are for no model."""
    for value in (0.1, 0.2, 0.3):
        columns = {name: ("FP32", [value]) for name in models.COLUMNS}
        assert server.infer(MODEL, **columns).status_code == 200
    assert server.infer(MODEL, **{name: ("FP32", [None]) for name in models.COLUMNS}).status_code == 400
    assert server.infer("other", a=("FP32", [1.0])).status_code == 404


def ask(url: str, expression: str) -> list[Any]:
    """What Prometheus makes of an expression now."""
    found = requests.get(f"{url}/api/v1/query", params={"query": expression}, timeout=30).json()
    assert found["status"] == "success", found
    result: list[Any] = found["data"]["result"]
    return result


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_shows_what_a_server_and_a_window_expose(panel: Any, scraped: str) -> None:
    for target in panel["targets"]:
        expression = promql.VARIABLE.sub(lambda found: CHOSEN.get(found[1], "1m"), target["expr"])
        values = [float(one["value"][1]) for one in ask(scraped, expression)]
        assert all(value == value for value in values), f"{expression} is no number"  # noqa: PLR0124 - NaN
        if panel["title"] not in NOTHING_YET:
            assert values, f"{panel['title']}: {expression} shows nothing"


def test_shares_are_what_was_asked(scraped: str) -> None:
    """Of the three sums 0.3, 0.6 and 0.9 that are scored, two are above 0.5; one in four requests lacks all values."""
    (above,) = ask(
        scraped, f'1 - sum(trunkline_serve_score_bucket{{model="{MODEL}",le="0.5"}}) / sum(trunkline_serve_score_count)'
    )
    assert float(above["value"][1]) == pytest.approx(2 / 3, abs=0.05)
    missing = ask(scraped, f'column:trunkline_serve_missing:ratio_rate1h{{model="{MODEL}"}}')
    assert {one["metric"]["column"] for one in missing} == set(models.COLUMNS)
    for one in missing:
        assert 0.1 < float(one["value"][1]) < 0.5


def test_rules_are_evaluated_without_fault_and_drift_fires(scraped: str) -> None:
    groups = requests.get(f"{scraped}/api/v1/rules", timeout=30).json()["data"]["groups"]
    assert len(groups) == len(GROUPS)
    assert [rule["lastError"] for group in groups for rule in group["rules"] if rule["health"] != "ok"] == []
    (firing,) = ask(scraped, 'ALERTS{alertname="ModelDrifting",alertstate="firing"}')
    assert firing["metric"].items() >= {"model": MODEL, "kind": "data", "severity": "warning"}.items()
