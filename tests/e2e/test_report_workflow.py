"""report.yml, run by act against a stand-in for GitHub: one comment, updated in place, also for a fork."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.github.server import Pull, State, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.act import Act, Result
    from tests.e2e.conftest import Change
    from tests.project import Project


def report(base: Project, change: Change, url: str, **run: Any) -> Result:
    """Run report.yml on main, with the artifacts that the run on the pull request left; `run` is what it had else."""
    runner = type(change.act)(base, change.act.here, change.act.program)
    return runner.run("workflow_run", "report.yml", completed(change, **run), GITHUB_API_URL=url)


def completed(change: Change, **run: Any) -> dict[str, Any]:
    """The event, which names no pull requests when they come from a fork."""
    payload = change.completed()
    payload["workflow_run"] = {"pull_requests": [], **payload["workflow_run"], **run}
    return payload


def pull(change: Change) -> Pull:
    return Pull(number=7, sha=change.commit, head="forker:change")


def test_one_comment_is_posted_and_then_updated_in_place(base: Project, failing: Change, passing: Change) -> None:
    with running(State(pulls=[pull(failing)])) as github:
        first = report(base, failing, github.url)
        assert first.jobs == {"comment": "success"}, first.log
        (before,) = github.bodies(7)
        assert "roc_auc.min" in before
        assert f"The check of `{failing.commit[:8]}` ended in failure." in before
        assert "(https://github.com/octo/line/actions/runs/1)" in before

        again = report(base, failing, github.url)
        assert again.jobs == {"comment": "success"}, again.log
        assert github.bodies(7) == [before]

        github.state.pulls[0] = pull(passing)
        after_push = report(base, passing, github.url)
        assert after_push.jobs == {"comment": "success"}, after_push.log
        (after,) = github.bodies(7)
        assert f"<sub>The check of `{passing.commit[:8]}`" in after
        assert "failure" not in after.split("##")[0]
        assert github.count("POST") == 1


def test_a_run_that_was_overtaken_by_a_push_posts_nothing(base: Project, failing: Change, passing: Change) -> None:
    with running(State(pulls=[pull(passing)])) as github:
        late = report(base, failing, github.url)
        assert late.jobs == {"comment": "success"}, late.log
        assert github.bodies(7) == []


def test_of_two_pull_requests_the_one_that_the_event_names(base: Project, passing: Change) -> None:
    with running(
        State(pulls=[pull(passing), pull(passing).model_copy(update={"number": 8, "base": "next"})])
    ) as github:
        unknown = report(base, passing, github.url)
        assert unknown.jobs == {"comment": "success"}, unknown.log
        assert github.state.comments == []
        named = [{"number": 8, "base": {"ref": "next"}, "head": {"ref": "change"}}]
        known = report(base, passing, github.url, pull_requests=named)
        assert known.jobs == {"comment": "success"}, known.log
        assert (len(github.bodies(7)), len(github.bodies(8))) == (0, 1)


def test_what_an_earlier_attempt_left_is_not_posted(base: Project, passing: Change) -> None:
    with running(State(pulls=[pull(passing)])) as github:
        again = report(base, passing, github.url, run_attempt=2)
        assert again.jobs == {"comment": "success"}, again.log
        assert github.bodies(7) == []


def test_the_token_is_not_printed(base: Project, failing: Change) -> None:
    with running(State(pulls=[pull(failing)])) as github:
        assert "secret-token" not in report(base, failing, github.url).log


def test_a_run_that_left_no_records_posts_nothing(
    base: Project, act: Callable[[Project, str], Act], failing: Change
) -> None:
    runner = act(base, "empty")
    with running(State(pulls=[pull(failing)])) as github:
        result = runner.run("workflow_run", "report.yml", completed(failing), GITHUB_API_URL=github.url)
        assert result.jobs == {"comment": "success"}, result.log
        assert github.bodies(7) == []


def test_a_push_a_cancelled_run_or_another_workflow_has_no_comment(failing: Change) -> None:
    others = ({"event": "push"}, {"conclusion": "cancelled"}, {"path": ".github/workflows/other.yml"})
    for other in others:
        result = failing.act.run("workflow_run", "report.yml", completed(failing, **other))
        assert (result.code, result.jobs) == (0, {}), result.log
