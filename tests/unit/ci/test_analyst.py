"""Who asks for a look gets that of the newest commit, once for all who ask, and words where there is none."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from ci.commands import analyst, analyze
from ci.commands.analyst import AGAIN, EVERY, Analyst, Turn, at_hand, newest
from ci.core.analysis import Unknown, answer
from ci.core.canary.records import Decision, Evidence, Rollout, Step
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.manifests.overlays import placeholder
from ci.core.release import dump, path_of, release

if TYPE_CHECKING:
    from pathlib import Path

    from ci.core.release import Release

STABLE = placeholder("registry.example.com/line", "fraud", "production").spec.stable
CANARY = STABLE.model_copy(update={"image": STABLE.image.replace("0" * 64, "2" * 64), "version": "12"})
RELEASE = release("fraud", "production", stable=STABLE, canary=CANARY, weight=5)
PATH = path_of("fraud", "production")
PARAMS = """\
models: [fraud]
defaults:
  seed: 1
  gates: {confidence: 0.95, resamples: 2000, min_rows: 200, on_inconclusive: warn}
  rollout: {minutes: 7}
release:
  registry: registry.example.com/line
  base: python
  environments:
    production: {steps: [5, 25, 100]}
"""


@dataclass
class Looks:
    """Stands in for the look: says `hold` for what it is asked, and keeps what that was."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    fault: Exception | None = None

    def __call__(self, rules: Any, of: Release, _place: Any, before: Any, _prometheus: Any, **times: Any) -> Rollout:
        self.asked.append({"rules": rules, "weight": of.spec.weights.canary, "before": before, **times})
        if self.fault:
            raise self.fault
        return record(of, times["now"])


def record(of: Release, now: float) -> Rollout:
    assert of.spec.canary
    return Rollout(
        model=of.spec.model,
        environment=of.spec.environment,
        stable="a" * 64,
        canary="b" * 64,
        stable_digest=of.spec.stable.digest,
        canary_digest=of.spec.canary.digest,
        started=now,
        seen_until=now,
        looked=now,
        step=Step(weight=of.spec.weights.canary, since=now),
        decision=Decision(action="hold", words="little was seen", facts=("one", "two")),
    )


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    made = Looks()
    monkeypatch.setattr(analyst, "look", made)
    return made


def git(where: Path, *args: str, **env: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=trunk")
    done = subprocess.run(
        ["git", *who, *args], cwd=where, capture_output=True, text=True, check=True, env={**os.environ, **env}
    )
    return done.stdout.strip()


def commit(where: Path, made: Release, when: int) -> None:
    for name, text in {"params.yaml": PARAMS, PATH: dump(made)}.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(text)
    git(where, "add", "-A")
    git(where, "commit", "--quiet", "--message", "Release", GIT_COMMITTER_DATE=f"@{when} +0000")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    where = tmp_path / "origin"
    where.mkdir()
    git(where, "init", "--quiet")
    commit(where, RELEASE, 1_000)
    return where


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", "--no-checkout", str(origin), "clone")
    return tmp_path / "clone"


def test_the_newest_commit_counts_and_nothing_is_checked_out(origin: Path, clone: Path, looks: Looks) -> None:
    now = [2_000.0]
    asks = Analyst(lambda: newest(clone), clock=lambda: now[0])
    asks.look("fraud", "production", version="12")
    assert looks.asked[0] == {"rules": looks.asked[0]["rules"], "weight": 5, "before": None, "now": 2000, "since": 1000}
    assert looks.asked[0]["rules"].minutes == 7
    commit(origin, release("fraud", "production", stable=STABLE, canary=CANARY, weight=25), 1_900)
    now[0] += EVERY
    asks.look("fraud", "production")
    assert (looks.asked[1]["weight"], looks.asked[1]["since"]) == (25, 1_000), "it has been there since"
    assert looks.asked[1]["before"].step.weight == 5
    assert not (clone / "params.yaml").exists()


def test_without_a_remote_it_is_the_commit_at_hand(origin: Path) -> None:
    assert newest(origin) == at_hand(origin)
    assert newest(origin).commit == git(origin, "rev-parse", "HEAD")


def test_one_look_is_taken_for_all_who_ask_at_once(clone: Path, looks: Looks) -> None:
    asks = Analyst(lambda: at_hand(clone), clock=lambda: 2_000.0)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: asks.look("fraud", "production"), range(8)))
    assert len(looks.asked) == 1
    assert found == [found[0]] * 8


def test_a_look_that_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyst, "PATIENCE", 0.01)
    turn = Turn("git", lambda: 0.0)
    with turn.taken(), pytest.raises(EnvironmentFault, match="git takes long; ask again"), turn.taken():
        pass
    with turn.taken():
        pass


def test_what_was_forgotten_in_mid_rollout_counts_as_evidence_but_not_towards_the_step(
    clone: Path, looks: Looks
) -> None:
    asks = Analyst(lambda: at_hand(clone), clock=lambda: 2_000.0)
    asks.look("fraud", "production", weight=25)
    assert [one["weight"] for one in looks.asked] == [5, 25]
    assert looks.asked[1]["before"].step.weight == 5
    looks.asked.clear()
    Analyst(lambda: at_hand(clone)).look("fraud", "production", weight=5)
    assert [one["weight"] for one in looks.asked] == [5]


@pytest.fixture
def answered(clone: Path, looks: Looks) -> Any:
    asks = Analyst(lambda: at_hand(clone), clock=lambda: 2_000.0)
    return lambda path, **query: analyze._answer(asks, path, query)


def test_a_decision_is_answered_with_what_it_rests_on(answered: Any) -> None:
    status, found = answered("/v1/analysis/production/fraud", version="12", weight="5")
    assert status == 200
    assert (found["decision"], found["words"], found["weight"]) == ("hold", "little was seen", 5)


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("/", {}, 404, "there is nothing at this path"),
        ("/v1/analysis/production/fraud/x", {}, 404, "there is nothing at this path"),
        ("/v1/analysis/production/frad", {}, 404, "did you mean 'fraud'?"),
        ("/v1/analysis/staging/fraud", {}, 404, "there is no environment 'staging'"),
        ("/v1/analysis/production/fraud", {"weight": "26"}, 404, "26 is no step before the last"),
        ("/v1/analysis/production/fraud", {"weight": "100"}, 404, "100 is no step before the last"),
        ("/v1/analysis/production/fraud", {"weight": "-5"}, 404, "weight is '-5'"),
        ("/v1/analysis/production/fraud", {"version": "11"}, 409, "has version 12 as the canary by now, not 11"),
    ],
)
def test_what_is_no_decision_is_no_success(answered: Any, path: str, query: Any, status: int, words: str) -> None:
    found, message = answered(path, **query)
    assert (found, set(message)) == (status, {"error"})
    assert words in message["error"]


def test_an_outage_is_no_success_and_is_asked_about_once_by_all_who_wait(clone: Path, looks: Looks) -> None:
    now = [2_000.0]
    asks = Analyst(lambda: at_hand(clone), clock=lambda: now[0])
    looks.fault = EnvironmentFault("Prometheus cannot be asked.")
    for _ in range(3):
        found = analyze._answer(asks, "/v1/analysis/production/fraud", {})
        assert found == (503, {"error": "Prometheus cannot be asked."})
    assert len(looks.asked) == 1
    looks.fault = None
    now[0] += AGAIN
    assert analyze._answer(asks, "/v1/analysis/production/fraud", {})[0] == 200


def test_nothing_is_rolled_out(origin: Path, looks: Looks) -> None:
    commit(origin, release("fraud", "production", stable=STABLE), 3_000)
    with pytest.raises(ConfigurationError, match="nothing of fraud is being rolled out in production"):
        Analyst(lambda: newest(origin)).look("fraud", "production")
    with pytest.raises(Unknown):
        Analyst(lambda: newest(origin)).look("churn", "production")


def test_an_answer_is_json_whatever_the_evidence() -> None:
    seen = {"canary": (0, 5), "stable": (5, 0), "standard": (5.0, 0.0), "step_canary": (0, 5), "step_stable": (5, 0)}
    bet = {"alpha": 0.01, "log_e": (1e4,), "log_now": 1e4, "log_peak": 1e4, "effect": 3.0, "tolerated": 1.2}
    one = Evidence.model_validate({"metric": "errors", "kind": "errors", **seen, **bet})
    found = answer(record(RELEASE, 0.0).model_copy(update={"evidence": (one,)}))["metrics"]["errors"]
    assert found["e"] > 1e300
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["certain"]
