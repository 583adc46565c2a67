"""What is to be done with a branch of the bot's."""

from __future__ import annotations

import pytest

from ci.core.bot import EMAIL, NAME, Commit, Step, require_ours, step
from ci.core.errors import ConfigurationError

OURS = Commit("a" * 40, NAME, NAME, EMAIL, EMAIL)
AMENDED = Commit("b" * 40, NAME, "Dana", EMAIL, "dana@example.com")
HERS = Commit("c" * 40, "Dana", "GitHub", "dana@example.com", "noreply@github.com")
MERGE = Commit("d" * 40, "Dana", "GitHub", "dana@example.com", "noreply@github.com", plain=True)


@pytest.mark.parametrize(
    ("base", "merged", "wanted"),
    [
        ("new", None, "nothing"),
        ("new", "new", "nothing"),
        ("old", None, "push"),
        ("old", "new", "keep"),
        ("old", "other", "push"),
    ],
)
def test_the_next_step(base: str, merged: str | None, wanted: Step) -> None:
    assert step(base=base, wanted="new", merged=merged) == wanted


def test_what_is_ours_may_be_written_over() -> None:
    require_ours("train/churn", [])
    require_ours("train/churn", [MERGE, OURS])


@pytest.mark.parametrize("commit", [HERS, AMENDED])
def test_what_is_not_ours_may_not(commit: Commit) -> None:
    with pytest.raises(ConfigurationError, match=f"train/churn has the commit {commit.sha[:12]} by Dana"):
        require_ours("train/churn", [OURS, commit])
