"""report.yml, run by act against a stand-in for GitHub: one comment, updated in place, also for a fork."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.github.server import Pull, State, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.act import Act, Result
    from tests.e2e.conftest import Change
    from tests.project import Project


def report(base: Project, change: Change, url: str) -> Result:
    """Run report.yml on main, with the artifacts that the run on the pull request left."""
    runner = type(change.act)(base, change.act.here, change.act.program)
    return runner.run("workflow_run", "report.yml", change.completed(), GITHUB_API_URL=url)


def pull(change: Change) -> Pull:
    return Pull(number=7, sha=change.commit, head="forker:change")


def test_one_comment_is_posted_and_then_updated_in_place(base: Project, failing: Change, passing: Change) -> None:
    with running(State(pulls=[pull(failing)])) as github:
        first = report(base, failing, github.url)
        assert first.jobs == {"comment": "success"}, first.log
        (before,) = github.bodies(7)
        assert "roc_auc.min" in before

        again = report(base, failing, github.url)
        assert again.jobs == {"comment": "success"}, again.log
        assert github.bodies(7) == [before]

        github.state.pulls[0] = pull(passing)
        after_push = report(base, passing, github.url)
        assert after_push.jobs == {"comment": "success"}, after_push.log
        (after,) = github.bodies(7)
        assert after != before
        assert github.count("POST") == 1


def test_a_run_that_was_overtaken_by_a_push_posts_nothing(base: Project, failing: Change, passing: Change) -> None:
    with running(State(pulls=[pull(passing)])) as github:
        late = report(base, failing, github.url)
        assert late.jobs == {"comment": "success"}, late.log
        assert github.bodies(7) == []


def test_the_token_is_not_printed(base: Project, failing: Change) -> None:
    with running(State(pulls=[pull(failing)])) as github:
        assert "secret-token" not in report(base, failing, github.url).log


def test_a_run_that_left_no_records_posts_nothing(
    base: Project, act: Callable[[Project, str], Act], failing: Change
) -> None:
    runner = act(base, "empty")
    with running(State(pulls=[pull(failing)])) as github:
        result = runner.run("workflow_run", "report.yml", failing.completed(), GITHUB_API_URL=github.url)
        assert result.jobs == {"comment": "success"}, result.log
        assert github.bodies(7) == []


def test_a_push_or_a_cancelled_run_has_no_comment(base: Project, failing: Change, tmp_path: Path) -> None:
    for other in ({"event": "push"}, {"conclusion": "cancelled"}):
        payload = failing.completed()
        payload["workflow_run"] |= other
        result = failing.act.run("workflow_run", "report.yml", payload)
        assert (result.code, result.jobs) == (0, {}), result.log
