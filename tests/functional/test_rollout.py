"""`trunkline rollout` on one machine: the local forge, MLflow, and a real Prometheus that knows how it went."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ci.adapters.forge.local import FOLDER, Local
from ci.adapters.rollouts import ref_of
from ci.core.release import release
from tests import rollouts
from tests.rollouts import BRANCH, BREAKING, FAILING, FIRST, HEALTHY, Stage, canary, version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Make = Callable[..., Stage]

NOWHERE = "http://127.0.0.1:9"
KILLED = 130
QUIET = "nothing is being rolled out\n"


@pytest.fixture(scope="module")
def settled(watched: tuple[float, Mapping[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Version 1 everywhere, and all that follows from that done."""
    start, surroundings = watched
    made = rollouts.stage(tmp_path_factory.mktemp("settled") / "project", start, surroundings)
    made.run("rollout")
    return made


@pytest.fixture
def make(settled: Stage, tmp_path: Path) -> Make:
    """Makes a stage whose production has these further rules."""
    return lambda how="": settled.copy(tmp_path / "project", how)


# --- what a rollout comes to ---------------------------------------------------------------------


def test_a_healthy_canary_is_held_stepped_and_promoted_by_commits(make: Make) -> None:
    line = make()
    canary(line, HEALTHY)
    assert "churn: production: hold: held at 5 %" in line.run("rollout", at=6)
    assert line.log()[0] == "Release churn 2 to production"
    assert line.aliases() == {"champion": "1", "canary": "2"}

    for at, weight in ((12, 25), (24, 50)):
        assert "step: " in line.run("rollout", "churn", at=at)
        assert line.released().spec.weights.canary == weight
    assert "promote: " in line.run("rollout", at=36)
    assert line.released() == release("churn", "production", stable=version(HEALTHY))
    assert line.log()[:4] == [
        "Promote churn 2 in production",
        "Give churn 2 50 % of the traffic in production",
        "Give churn 2 25 % of the traffic in production",
        "Release churn 2 to production",
    ]
    assert line.aliases() == {"champion": "2"}
    assert line.has_ended()
    assert line.issues() == []
    assert line.run("rollout", at=40) == QUIET
    evidence = line.message("main^2")
    assert "metric" in evidence
    assert "errors" in evidence
    assert f"Lock: {'b' * 64}" in evidence


def test_a_failing_canary_is_rolled_back_by_a_push_with_the_evidence_and_one_issue(make: Make) -> None:
    line = make("rollback: push")
    came = canary(line, FAILING)
    assert "rollback: the canary is certainly worse: errors" in line.run("rollout", at=8)
    assert line.released() == release("churn", "production", stable=version(FIRST))
    message = line.message()
    assert message.startswith("Roll churn 3 back in production\n\nthe canary is certainly worse: errors")
    assert f"This reverts commit {came}." in message
    assert line.at("main", "k8s/models/churn/production/card.md") == "# Model card: 1"
    assert line.aliases() == {"champion": "1"}
    (issue,) = line.issues()
    assert (issue.title, issue.labels, issue.state) == ("Rollback of churn in production", ("rollback",), "open")
    assert "```mermaid" in issue.body
    assert line.pulls() == []
    assert line.has_ended()
    assert line.run("rollout", at=12) == QUIET
    assert len(line.issues()) == 1


def test_a_rollback_by_pull_request_is_merged_by_itself_whatever_steps_wait(make: Make) -> None:
    line = make("approve: [25, 50, 100]")
    canary(line, FAILING)
    line.run("rollout", at=8)
    (pull,) = line.pulls("merged")
    assert (pull.branch, pull.title, pull.labels, pull.reviewers) == (
        BRANCH,
        "Roll churn 3 back in production",
        ("production",),
        (),
    )
    assert "| errors |" in pull.body
    assert line.released().spec.canary is None


def test_a_step_that_waits_for_a_person_is_decided_once(make: Make) -> None:
    line = make("approve: [25]")
    canary(line, HEALTHY)
    line.run("rollout", at=12)
    (pull,) = line.pulls("open")
    assert (pull.title, pull.reviewers, pull.auto_merge) == (
        "Give churn 2 25 % of the traffic in production",
        ("dana",),
        False,
    )
    assert "It waits for a person" in pull.body
    decision = line.record().decision
    assert f"#1 {pull.url}, unchanged" in line.run("rollout", at=14)
    assert line.pulls("open") == [pull]
    assert line.record().decision == decision
    assert line.record().looked == line.start + 14 * 60

    line.merge(BRANCH)
    assert "held at 25 %" in line.run("rollout", at=15)
    assert line.released().spec.weights.canary == 25
    assert line.pulls("open") == []


def test_a_step_that_waits_becomes_a_rollback_when_the_canary_breaks(make: Make) -> None:
    line = make("approve: [25]")
    canary(line, BREAKING)
    line.run("rollout", at=12)
    (waiting,) = line.pulls("open")
    line.run("rollout", at=25)
    (pull,) = line.pulls()
    assert (pull.number, pull.state, pull.title) == (waiting.number, "merged", "Roll churn 4 back in production")
    assert line.released().spec.canary is None


def test_from_the_shadow_the_first_step_is_a_share(make: Make) -> None:
    line = make("shadow: true")
    canary(line, HEALTHY, shadow=True)
    line.run("rollout", at=12)
    spec = line.released().spec
    assert (spec.weights.canary, spec.shadow) == (5, False)
    assert "minutes at copies alone" in line.message("main^2")


def test_a_newer_canary_begins_with_evidence_of_its_own(make: Make) -> None:
    line = make("approve: [25]")
    canary(line, HEALTHY)
    line.run("rollout", at=12)
    assert line.pulls("open")
    line.pull()
    canary(line, BREAKING, at=line.start + 13 * 60)
    assert "held at 5 %" in line.run("rollout", at=14)
    assert line.record().canary == "d" * 64
    assert line.record().started >= line.start + 12 * 60
    assert line.pulls("open") == []


def test_a_version_that_comes_back_later_begins_anew(make: Make) -> None:
    line = make("rollback: push")
    canary(line, FAILING)
    line.run("rollout", at=8)
    line.pull()
    canary(line, FAILING, at=line.start + 20 * 60)
    assert "held at 5 %" in line.run("rollout", at=20.4)
    line.run("rollout", at=28)
    assert line.released().spec.canary is None
    assert len(line.issues()) == 2


def test_a_version_that_comes_back_before_its_record_is_closed_begins_anew(make: Make) -> None:
    line = make("rollback: push")
    canary(line, FAILING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ci.commands.rollingout.Rolling._end", killed)
        line.run("rollout", at=8, code=KILLED)
    assert not line.has_ended()
    line.pull()
    canary(line, FAILING, at=line.start + 20 * 60)
    assert "hold: " in line.run("rollout", at=20.4)
    assert line.released().spec.canary is not None


# --- what is only told ---------------------------------------------------------------------------


def test_a_plan_is_a_workflows_matrix_and_a_rehearsal_writes_nothing(make: Make, tmp_path: Path) -> None:
    line = make()
    canary(line, HEALTHY)
    out = tmp_path / "out"
    said = line.run("rollout", "--plan", "--environment", "production", GITHUB_OUTPUT=str(out))
    assert said == "churn: production: version 2 has 5 % of the traffic\n"
    assert out.read_text() == 'models=["churn"]\nany=true\n'
    assert "step: " in line.run("rollout", "--dry-run", at=12)
    assert not line.has_record()
    assert line.pulls() == []
    assert line.run("rollout", "--plan", "--environment", "staging") == QUIET


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("rollout", "chrun"), "there is no model 'chrun' in params.yaml; did you mean 'churn'?"),
        (("rollout", "--environment", "producton"), "no environment 'producton' in params.yaml; did you mean"),
        (("status", "chrun"), "did you mean 'churn'?"),
        (("rollback", "chrun"), "did you mean 'churn'?"),
    ],
)
def test_what_there_is_not_is_told(make: Make, args: tuple[str, ...], words: str) -> None:
    assert words in make().run(*args, code=1)


def test_how_each_stands(make: Make) -> None:
    line = make("approve: [25]")
    said = line.run("status")
    assert "never released" not in said
    canary(line, HEALTHY)
    assert "not looked at yet" in line.run("status", "--environment", "production")
    line.run("rollout", at=12)
    said = line.run("status")
    for words in (
        "1 (aaaaaaaaaaaa)",
        "2 (bbbbbbbbbbbb) at 5 % since",
        "3,450 requests; ",
        "step: 3,450 requests",
        "#1 Give",
    ):
        assert words in said
    (staging, production) = json.loads(line.run("status", "--json"))
    assert (staging["environment"], staging["canary"], staging["stable"]["version"]) == ("staging", None, "1")
    assert (production["weight"], production["decision"]["action"]) == (5, "step")
    assert [pull["branch"] for pull in production["pulls"]] == [BRANCH]
    assert staging["pulls"] == []
    newer = line.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "newer rows")
    line.git("push", "--quiet", FOLDER, f"{newer}:refs/heads/retrain/churn")
    Local(line.root).open("retrain/churn", "main", "Retrain churn", "on newer rows")
    (staging, production) = json.loads(line.run("status", "--json"))
    assert [pull["title"] for pull in staging["pulls"]] == ["Retrain churn"]
    assert [pull["branch"] for pull in production["pulls"]] == [BRANCH]


# --- what goes wrong -----------------------------------------------------------------------------


def test_without_prometheus_nothing_is_decided(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ci.adapters.prometheus.TRIES", 1)
    line = make()
    canary(line, HEALTHY)
    line.run("rollout", at=6)
    before = line.record()
    assert "No answer came from Prometheus" in line.run("rollout", at=12, code=2, TRUNKLINE_PROMETHEUS=NOWHERE)
    assert line.record() == before
    assert line.pulls() == []
    assert "step: " in line.run("rollout", at=12)


def test_a_rollback_that_was_decided_needs_no_prometheus_to_come_true(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make("rollback: push")
    canary(line, FAILING)
    with monkeypatch.context() as patch:
        patch.setattr("ci.commands.bringing.bring", killed)
        line.run("rollout", at=8, code=KILLED)
    assert line.record().decision.action == "rollback"
    assert line.released().spec.canary is not None
    line.run("rollout", at=9, TRUNKLINE_PROMETHEUS=NOWHERE)
    assert line.released().spec.canary is None
    assert len(line.issues()) == 1


def test_a_rollback_does_not_wait_for_a_registry_of_models_that_is_down(make: Make) -> None:
    line = make("rollback: push")
    line.write(release("churn", "staging", stable=version(FAILING)), "Release churn 3 to staging", line.start)
    canary(line, FAILING)
    said = line.run(
        "rollout", at=8, code=2, MLFLOW_TRACKING_URI="http://127.0.0.1:9", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0"
    )
    assert said.index("production: pushed as") < said.index("staging: nothing is being rolled out")
    assert "MLflow at http://127.0.0.1:9 does not answer" in said
    assert line.released().spec.canary is None
    line.run("rollout", at=9)
    assert line.aliases() == {"champion": "1"}


def test_a_rollback_that_was_pushed_by_a_killed_run_is_told_and_closed_by_the_next(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make("rollback: push")
    canary(line, FAILING)
    with monkeypatch.context() as patch:
        patch.setattr("ci.adapters.forge.local.Local.issue", killed)
        line.run("rollout", at=8, code=KILLED)
    assert line.released().spec.canary is None
    assert "the last rollout is over, and its record is not closed" in line.run("rollout", "--plan")
    line.run("rollout", at=9, TRUNKLINE_PROMETHEUS=NOWHERE)
    assert len(line.issues()) == 1
    assert line.aliases() == {"champion": "1"}
    assert line.run("rollout", "--plan") == QUIET


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_push_that_is_not_let_in_is_proposed_instead(make: Make) -> None:
    line = make("rollback: push")
    canary(line, FAILING)
    line.run("rollout", "--plan")
    line.refuse_pushes()
    said = line.run("rollout", at=8)
    assert "does not take a push to refs/heads/main" in said
    assert "It is proposed instead." in said
    assert [pull.state for pull in line.pulls()] == ["merged"]
    assert line.released().spec.canary is None


def test_a_rollback_that_cannot_be_proposed_is_told_all_the_same(make: Make) -> None:
    line = make("approve: [25]")
    canary(line, BREAKING)
    line.run("rollout", at=12)
    line.git("fetch", "--quiet", line.bare, BRANCH)
    line.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    line.git("commit", "--quiet", "--allow-empty", "--message", "by hand")
    line.git("push", "--quiet", line.bare, f"HEAD:{BRANCH}")
    assert "which Trunkline will not write over" in line.run("rollout", at=25, code=1)
    (issue,) = line.issues()
    assert "Until the rollback is on the default branch" in issue.body
    line.git("push", "--quiet", line.bare, f":{BRANCH}")
    line.run("rollout", at=26)
    assert line.released().spec.canary is None
    assert len(line.issues()) == 1


def test_what_a_person_closed_is_not_opened_again(make: Make) -> None:
    line = make("approve: [25]")
    canary(line, HEALTHY)
    line.run("rollout", at=12)
    line.close(BRANCH)
    assert "was closed without a merge" in line.run("rollout", at=13)
    assert line.pulls("open") == []


def test_a_record_that_cannot_be_read_begins_anew(make: Make) -> None:
    line = make()
    canary(line, HEALTHY)
    line.run("rollout", at=6)
    line.git("push", "--quiet", "--force", ".trunkline/forge.git", f"HEAD:{ref_of('churn', 'production')}")
    said = line.run("rollout", at=12)
    assert "holds no record of a rollout" in said
    assert line.record().requests > 0


def test_a_release_that_was_edited_by_hand_is_told(make: Make) -> None:
    line = make()
    canary(line, HEALTHY)
    path = line.root / "k8s/models/churn/production/release.yaml"
    path.write_text(path.read_text().replace("stable: 95", "stable: 90"))
    line.git("commit", "--quiet", "--all", "--message", "by hand")
    assert "it was edited by hand; take back the edit" in line.run("rollout", at=6, code=1)
    assert "it was edited by hand" in line.run("rollout", "--plan")
    assert "removed or edited by hand" in line.run("status")
