"""`trunkline drift` on a log that the server's own code wrote, by real git and DVC, up to what a person reads."""

from __future__ import annotations

import json
import re
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import requests

from ci.adapters import drifts, forge
from ci.core.drift.records import Drift
from tests import prometheus, watching
from tests.watching import DAY, END, Watched, outcomes, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Prometheus that knows nothing."""
    with watching.prometheus() as url:
        monkeypatch.setenv("TRUNKLINE_PROMETHEUS", url)
        yield


@pytest.fixture
def model(tmp_path: Path, quiet: None) -> Watched:
    return Watched(tmp_path)


def kept(model: Watched) -> tuple[Drift, ...]:
    return drifts.read(model.root, forge.of(model.root), "churn").windows


def test_what_is_as_it_was_passes_and_is_kept_once(model: Watched) -> None:
    model.answer(rows())
    said = model.look()
    assert f"held to the model {model.made.model_hash[:12]}, which production runs" in said
    record = model.record()
    assert (record["outcome"], record["findings"]) == ("pass", [])
    assert record["window"]["rows"] == 1000
    assert record["reference"]["commit"] == model.made.commit
    weights = {row["column"]: row["importance"] for row in record["columns"]}
    assert weights["visits"] == 0  # the model does not look at it
    assert sum(weights.values()) == pytest.approx(1)
    (one,) = kept(model)
    assert one.model_dump(mode="json") == record
    before = drifts.read(model.root, forge.of(model.root), "churn").commit
    model.look()
    assert drifts.read(model.root, forge.of(model.root), "churn").commit == before


def test_what_drifted_is_found_at_once_and_is_an_alarm_when_it_lasts(model: Watched, tmp_path: Path) -> None:
    summary, outputs = tmp_path / "summary.md", tmp_path / "outputs"
    for week, amount in enumerate((50.0, 75.0, 75.0)):
        model.answer(rows(seed=week, amount=amount), end=END - (2 - week) * 7 * DAY, name=f"w{week}")
    assert "nothing" in model.look(end=END - 14 * DAY)
    model.look(end=END - 7 * DAY)
    (first,) = [one for (kind, _), one in model.found().items() if kind == "data"]
    assert (first["subject"], first["alarm"], first["windows"]) == ("amount", False, 1)
    said = model.look(code=3, GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(outputs))
    found = model.found()[("data", "amount")]
    assert (found["alarm"], found["windows"]) == (True, 2)
    assert found["since"].startswith(f"{END - 14 * DAY:%Y-%m-%d}")
    assert "amount" in said
    assert outputs.read_text() == "outcome=fail\n"
    text = summary.read_text()
    assert text.startswith("## ❌ Drift of `churn`: alarm")
    assert "xychart-beta" in text
    assert text.strip() == (model.root / "artifacts/churn/drift/drift.md").read_text().strip()
    assert len(kept(model)) == 3


def test_a_season_that_the_reference_has_is_no_drift(model: Watched) -> None:
    model.answer(rows(seed=5, amount=75.0))
    model.look()
    assert ("data", "amount") in model.found()
    model.made = model.train(weeks=(50.0, 75.0, 50.0, 25.0, 50.0))
    model.release()
    model.answer(rows(seed=5, amount=75.0))
    model.look()
    assert model.found() == {}
    model.declare(f"{{log: {model.log}, days: 6}}")
    model.look()
    assert "the reference's seasons of 7" in " ".join(model.record()["notes"])


def test_windows_that_overlap_are_no_second_witness(model: Watched) -> None:
    model.answer(rows(amount=75.0))
    for days in (2, 1, 0):
        model.look(end=END - days * DAY)
    assert model.found()[("data", "amount")]["windows"] == 1
    assert model.record()["outcome"] == "pass"


def test_quality_by_labels_and_concept_drift_are_told_apart_from_the_data(model: Watched) -> None:
    model.declare(f"{{log: {model.log}, labels: {model.labels}, persistence: 1}}")
    features = rows(2000, seed=3)
    model.answer(features)
    model.label(outcomes(features, seed=3, worth=0.0))  # labels follow from nothing any more
    model.look(code=3)
    record = model.record()
    assert record["window"]["labelled"] == 2000
    (auc,) = record["quality"]
    assert (auc["metric"], auc["verdict"]) == ("roc_auc", "fail")
    assert auc["value"] < auc["reference"]
    assert {"quality", "concept"} <= set(record["triggers"])
    assert "data" not in record["triggers"]
    assert all(row["reference"] is not None for row in record["estimate"])


def test_labels_that_take_days_are_those_of_an_older_window(model: Watched) -> None:
    model.declare(f"{{log: {model.log}, labels: {model.labels}, delay_days: 7}}")
    for name, end in (("old", END - 7 * DAY), ("new", END)):
        model.answer(rows(1000, seed=len(name)), end=end, name=name)
    model.label(outcomes(rows(1000, seed=3), seed=3), name="old")
    model.look()
    record = model.record()
    assert (record["window"]["labelled"], record["quality"][0]["n"]) == (1000, 1000)
    assert any("Labels take 7 days: quality is that of the rows from 2026-11-09" in note for note in record["notes"])


def test_the_service_and_business_are_watched_where_the_model_is_in_production(model: Watched, tmp_path: Path) -> None:
    business = "{spent: {column: amount, min: 1000}, orders: {promql: shop_orders, max: 5}}"
    model.declare(f"{{log: {model.log}, business: {business}, service: {{errors: 0.01, p99_seconds: 0.1}}}}")
    model.answer(rows())
    refused = 'code!="200"'
    with watching.prometheus(**{refused: 0.08}, vector=0.03, quantile=0.25, shop_orders=7, requests_total=12.0) as url:
        model.look(code=3, TRUNKLINE_PROMETHEUS=url)
    found = model.found()
    assert found[("service", "errors")]["value"] == 0.03
    assert found[("service", "fallbacks")]["value"] == 0.08
    assert found[("service", "p99")]["value"] == 0.25
    assert found[("business", "orders")]["value"] == 7
    assert found[("business", "spent")]["value"] == pytest.approx(50, rel=0.05)
    words = "12 requests a second, 3.000% errors, 8.000% without a score, p99 0.25 s"
    assert f"The service in production: {words}." in model.record()["notes"]


def test_its_numbers_are_a_file_for_prometheus_and_a_group_of_a_pushgateway(model: Watched, tmp_path: Path) -> None:
    model.declare(f"{{log: {model.log}, business: {{spent: {{column: amount, max: 1000}}}}}}")
    model.answer(rows())
    with prometheus.gateway(tmp_path) as url:
        for _ in range(2):  # the same group again, in its place
            model.look(TRUNKLINE_PUSHGATEWAY=url)
        there = requests.get(f"{url}/metrics", timeout=30).text
    assert there.count('trunkline_drift_window_rows{instance="",job="trunkline-drift",model="churn"} 1000') == 1
    text = (model.root / "artifacts/churn/drift/drift.prom").read_text()
    assert 'trunkline_drift_window_rows{model="churn"} 1000' in text
    assert 'trunkline_drift_business_value{model="churn",name="spent"}' in text
    said = model.look(code=2, TRUNKLINE_PUSHGATEWAY=url)
    assert f"the Pushgateway at {url} gave no answer" in said
    assert model.record()["outcome"] == "pass"


def test_a_prometheus_that_is_away_is_told_and_everything_else_is_judged(
    model: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    model.answer(rows())
    said = model.look(code=2, TRUNKLINE_PROMETHEUS="http://127.0.0.1:1")
    assert "No answer came from Prometheus" in said
    assert model.record()["outcome"] == "pass"
    assert len(kept(model)) == 1


def test_people_get_evidentlys_page_or_are_told_why_not(model: Watched) -> None:
    model.answer(rows())
    model.page = True
    said = model.look()
    page = model.root / "artifacts/churn/drift/drift.html"
    assert page.is_file() or "Evidently's page was not made" in said
    assert page.is_file() or find_spec("evidently") is None


def test_many_workers_see_what_one_sees(model: Watched) -> None:
    model.answer(rows())
    model.look()
    one = model.record()
    model.look("--workers", "2")
    assert model.record() == one


def test_another_log_and_labels_may_be_named(model: Watched, tmp_path: Path) -> None:
    model.answer(rows())
    other = model.log.rename(tmp_path / "moved")
    model.look("--log", str(other))
    assert model.record()["window"]["rows"] == 1000


# --- what is watched ---------------------------------------------------------------------------------


def test_a_plan_names_what_is_watched_and_leaves_mistakes_to_their_own_leg(model: Watched, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    others = {"quiet": "{}", "wrong": "{dayz: 3}"}
    for name, drift in others.items():
        model.declare(drift, model=name)
    model.write("params.yaml", (model.root / "params.yaml").read_text().replace("[churn]", "[churn, quiet, wrong]"))
    said = model.say("drift", "--plan", GITHUB_OUTPUT=str(outputs))
    assert "churn: its inference log, 7 days at a time" in said
    assert "unknown key 'dayz'" in said
    assert outputs.read_text() == 'models=["churn", "wrong"]\nany=true\n'
    model.answer(rows())
    assert "unknown key 'dayz'" in model.look(models=(), code=1)
    assert len(kept(model)) == 1
    assert "quiet is not watched" in model.look(models=("quiet",), code=1)
    model.declare("{}")
    model.write("params.yaml", (model.root / "params.yaml").read_text().replace(", wrong]", "]"))
    assert "no model is watched" in model.say("drift", "--plan")
    assert "no model is watched" in model.say("drift")


@pytest.mark.parametrize(
    ("end", "words"),
    [("yesterday", "--end is 'yesterday'; write it like"), ("2999-01-01", "a window is of what is over")],
)
def test_an_end_that_is_none_is_told(model: Watched, end: str, words: str) -> None:
    assert words in model.say("drift", "churn", "--end", end, code=1)


def test_an_end_may_be_of_another_zone(model: Watched) -> None:
    model.answer(rows())
    model.say("drift", "churn", "--end", "2026-11-23T05:30+05:30")
    assert model.record()["window"]["end"] == END.isoformat()


def test_before_anything_is_in_production_the_last_training_is_the_reference(model: Watched) -> None:
    model.project.git("rm", "--quiet", "-r", "k8s")
    model.project.commit("nothing is in production")
    model.answer(rows())
    assert "held to what was trained in full, since nothing is in production" in model.look()
    assert model.record()["reference"]["commit"] is None


def test_what_nothing_can_be_held_to_is_told(tmp_path: Path, quiet: None) -> None:
    model = Watched(tmp_path, without="profile")
    model.answer(rows())
    assert "was trained before profiles were made" in model.look(code=1)
    model.train()  # the profile of the same model, made later
    model.look()
    assert model.record()["outcome"] == "pass"


def test_a_reference_of_another_schema_version_is_told(tmp_path: Path, quiet: None) -> None:
    model = Watched(tmp_path)
    profile = json.loads((model.root / ".dvc/cache/files/md5" / _path(model)).read_text())
    model.train(profile=json.dumps({**profile, "schema_version": 0}).encode())
    model.answer(rows())
    assert "is a profile of schema_version 0, and this code reads 1; make it again" in model.look(code=1)


def _path(model: Watched) -> str:
    lock = (model.root / "dvc.lock").read_text()
    found = re.search(r"md5: (\w+)\n\s+path: artifacts/churn/full/profile.json", lock)
    assert found is not None
    return f"{found[1][:2]}/{found[1][2:]}"


def test_files_come_from_dvcs_remote_where_they_are_not_here(model: Watched) -> None:
    shutil.rmtree(model.root / ".dvc" / "cache")
    model.answer(rows())
    model.look()
    assert model.record()["outcome"] == "pass"
    shutil.rmtree(model.root / ".dvc" / "cache")
    shutil.rmtree(model.remote)
    assert "neither DVC's cache nor its remote has it" in model.look(code=2)
