"""What a decision makes of release.yaml, which release is gone back to, and the words for it: pure, by cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.adapters.templates import render_rollback, render_rollout
from ci.core.canary.records import Decision, Evidence, Point, Rollout, Share, Step
from ci.core.errors import ConfigurationError
from ci.core.history import ManifestChange
from ci.core.params import Environment
from ci.core.release import Release, dump, path_of, release
from ci.core.rollouts import telling
from ci.core.rollouts.changing import changed, settled, waits
from ci.core.rollouts.standing import standing
from ci.core.rollouts.ways_back import AlreadyBack, NothingBefore, back, came, images, taken_back
from tests.unit.ci.core.test_releasing import version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.canary.records import Action
    from ci.core.release import Version

A, B, C, D = (version(key, str(number)) for number, key in enumerate("abcd", 1))
WHERE = "churn in production"


def stands(stable: Version, canary: Version | None = None, weight: int = 0, *, shadow: bool = False) -> Release:
    return release("churn", "production", stable=stable, canary=canary, weight=weight, shadow=shadow)


def rollout(
    action: Action, weight: int | None = None, at: int = 5, stable: Version = A, canary: Version = B
) -> Rollout:
    errors = Evidence(
        metric="errors",
        kind="errors",
        alpha=0.01,
        log_e=(3.0,),
        log_now=3.0,
        log_peak=3.5,
        canary=(980, 20),
        stable=(19_810, 190),
        standard=(990.5, 9.5),
        step_canary=(980, 20),
        step_stable=(19_810, 190),
        shares=(Share(name="errors", canary=0.02, stable=0.0095),),
        effect=2.13,
        tolerated=1.2,
    )
    return Rollout(
        model="churn",
        environment="production",
        stable=stable.lineage.lock_hash,
        canary=canary.lineage.lock_hash,
        stable_digest=stable.digest,
        canary_digest=canary.digest,
        started=1_000_000,
        seen_until=1_000_600,
        looked=1_000_630,
        requests=1000,
        step=Step(weight=at, since=1_000_000, minutes=10, requests=1000),
        evidence=(errors,),
        points=tuple(Point(at=1_000_000 + 60 * n, weight=5, requests=n, log10={"errors": n / 2 - 3}) for n in range(9)),
        decision=Decision(action=action, words="because | of <that>", metrics=("errors",), weight=weight),
    )


# --- what a decision makes of release.yaml -------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "made"),
    [
        (rollout("hold"), None),
        (rollout("step", 25), stands(A, B, 25)),
        (rollout("promote", 100), stands(B)),
        (rollout("rollback"), stands(A)),
        (rollout("rollback", at=25), stands(A)),  # whatever the share is by now
        (rollout("step", 50, at=25), None),  # of another step than the base is at
        (rollout("step", 25, canary=C), None),  # of a canary that was superseded
        (rollout("rollback", stable=C), None),
    ],
)
def test_a_decision_makes_a_release_or_nothing(decided: Rollout, made: Release | None) -> None:
    assert changed(stands(A, B, 5), decided) == made


def test_nothing_is_made_of_a_release_without_a_canary_or_of_none() -> None:
    assert changed(stands(A), rollout("rollback")) is None
    assert changed(None, rollout("promote", 100)) is None


def test_from_copies_of_requests_the_first_step_is_a_share_and_the_split_stays() -> None:
    shadowed = release("churn", "production", stable=A, canary=B, weight=5, split="unit", shadow=True)
    made = changed(shadowed, rollout("step", 5, at=0))
    assert made == release("churn", "production", stable=A, canary=B, weight=5, split="unit")


def test_a_step_waits_for_a_person_where_params_say_so() -> None:
    rules = Environment(steps=[5, 25, 100], approve=[25, 100])
    waiting = [waits(rollout(*one).decision, rules) for one in (("step", 25), ("step", 50), ("promote", 100))]
    assert waiting == [True, False, True]
    assert not waits(rollout("rollback").decision, rules)


def test_what_was_decided_is_not_decided_again_until_its_step_is_taken() -> None:
    first = rollout("step", 25)
    later = rollout("step", 25).model_copy(
        update={"looked": 2e6, "decision": first.decision.model_copy(update={"words": "newer"})}
    )
    assert settled(first, later).decision == first.decision
    assert settled(first, later).looked == 2e6
    assert settled(rollout("step", 25, at=0), later) == later
    assert settled(rollout("hold"), later) == later
    assert settled(None, later) == later
    assert settled(first, rollout("rollback")).decision.action == "rollback"


# --- ways back -----------------------------------------------------------------------------------


def history(*releases: Release | str | None) -> list[ManifestChange]:
    path = path_of("churn", "production")
    return [
        ManifestChange(
            path=path,
            model="churn",
            environment="production",
            commit=f"{number}" * 40,
            when=f"2026-11-2{number}T00:00:00+00:00",
            author="trunkline[bot]",
            committer="trunkline[bot]",
            subject=f"change {number}",
            text=dump(made) if isinstance(made, Release) else made,
        )
        for number, made in enumerate(releases)
    ]


def commits(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{number}" * 40 for number in numbers)


STORY = (stands(A), stands(A, B, 5), stands(A, B, 25), stands(B), stands(B, C, 5))


@pytest.mark.parametrize(
    ("past", "to", "gone_to", "card_at", "reverts"),
    [
        (STORY, None, B, 3, (4,)),  # the canary is taken back
        (STORY[:4], None, A, 0, (3, 2, 1)),  # the newest release is
        (STORY[:3], None, A, 0, (2, 1)),
        (STORY, "1", A, 0, (4, 3, 2, 1)),
        (STORY, "churn/2", B, 3, (4,)),
        (STORY, A.digest, A, 0, (4, 3, 2, 1)),
        (STORY, "b" * 12, B, 3, (4,)),
        ((*STORY, stands(C)), None, B, 3, (5, 4)),
        ((*STORY[:4], stands(A)), "2", B, 3, (4,)),  # on again, after a rollback
        ((stands(A), stands(A, B, 5), stands(A, C, 5)), None, A, 0, (2, 1)),  # C superseded B: both are gone
        ((stands(A), stands(A, B, 5), stands(A, C, 5), stands(C)), None, A, 0, (3, 2, 1)),
        ((stands(A), "by hand", stands(B)), None, A, 0, (2,)),
    ],
)
def test_which_release_is_gone_back_to(
    past: Sequence[Release | str], to: str | None, gone_to: Version, card_at: int, reverts: tuple[int, ...]
) -> None:
    found = back(history(*past), to, WHERE)
    assert (found.version, found.card_at, found.reverts) == (gone_to, commits(card_at)[0], commits(*reverts))


@pytest.mark.parametrize(
    ("past", "to", "fault", "words"),
    [
        ((stands(A),), None, NothingBefore, "never ran anything else than version 1"),
        ((), None, NothingBefore, "runs nothing that a release.yaml names"),
        ((stands(A), None), "1", NothingBefore, "runs nothing that a release.yaml names"),
        (STORY, "7", ConfigurationError, "never ran a version '7'; known are: 1, 2, 3"),
        (STORY[:4], "2", AlreadyBack, "runs version 2 already, and nothing beside it"),
        ((*STORY[:4], stands(A)), None, AlreadyBack, r"went back from version 2 to 1 already; name the version .*--to"),
        ((*STORY, stands(B)), None, AlreadyBack, "went back from version 3 to 2 already"),
    ],
)
def test_where_there_is_no_way_back_the_words_say_why(
    past: Sequence[Release | None], to: str | None, fault: type[Exception], words: str
) -> None:
    with pytest.raises(fault, match=words):
        back(history(*past), to, WHERE)


def test_a_name_that_is_several_versions_names_none() -> None:
    again = version("e", "2")
    with pytest.raises(ConfigurationError, match="'2' names versions 2, 2 of churn in production alike"):
        back(history(stands(A), stands(B), stands(again)), "2", WHERE)


def test_of_a_version_that_was_packed_anew_the_newest_image_is_taken() -> None:
    anew = A.model_copy(update={"image": D.image})
    assert back(history(stands(A), stands(B), stands(anew), stands(C)), "1", WHERE).version == anew


def test_what_is_undone_with_a_canary_and_when_it_came() -> None:
    past = history(*STORY)
    found = taken_back(past, B)
    assert found is not None
    assert (found.card_at, found.reverts) == (commits(3)[0], commits(4))
    assert taken_back(past, D) is None
    assert came(past[:3], B) == "2026-11-21T00:00:00+00:00"
    assert came(past, B) is None
    assert images(past) == [C, B, A]


# --- the words -----------------------------------------------------------------------------------


def test_a_commit_says_why_with_counts_and_e_values() -> None:
    found = rollout("rollback")
    title = telling.title(found, stands(A, B, 5))
    assert title == "Roll churn 2 back in production"
    text = telling.message(title, found, A, commits(4, 3))
    assert text.splitlines() == [
        title,
        "",
        "because | of <that>",
        "",
        "metric         counted  canary  stable  e-value  certain from  ratio of odds  tolerated",
        "errors  1,000 : 20,000     2 %  0.95 %     20.1           100           2.13        1.2",
        "",
        "Seen: 1,000 requests to the canary in 10 minutes, 1,000 of them in 10 minutes at 5 %.",
        "",
        "Evidence over time, certain from ▅ on:",
        f"errors  {text.splitlines()[10].split()[1]}",
        "",
        f"This reverts commit {'4' * 40}.",
        f"This reverts commit {'3' * 40}.",
        "",
        f"Image: {A.image}",
        f"Model: {A.lineage.model_hash}",
        f"Lock: {A.lineage.lock_hash}",
    ]
    assert text.splitlines()[10].startswith("errors  ▂▂")
    assert text.splitlines()[10].endswith("▄▅▅▅▅▅▅▅▆")


@pytest.mark.parametrize(
    ("decided", "title"),
    [
        (rollout("step", 25), "Give churn 2 25 % of the traffic in production"),
        (rollout("promote", 100), "Promote churn 2 in production"),
        (rollout("hold"), "Hold churn 2 in production"),
    ],
)
def test_a_title_says_what_becomes_of_which_version(decided: Rollout, title: str) -> None:
    assert telling.title(decided, stands(A, B, 5)) == title


def test_a_pull_request_has_a_table_and_a_plot_that_github_draws() -> None:
    text = render_rollout(rollout("rollback"), "last words")
    assert "`churn` in **production**: because &#124; of &lt;that&gt;" in text
    assert (
        "| metric | counted | canary | stable | e-value | certain from | ratio of odds | tolerated |\n| --- |" in text
    )
    assert "| errors | 1,000 : 20,000 | 2 % | 0.95 % | 20.1 | 100 | 2.13 | 1.2 |" in text
    assert "```mermaid\n%%{init:" in text
    assert 'x-axis "minutes of the rollout" 0.0000 --> 8.0000' in text
    assert text.count("    line [") == 2
    assert "Lines: errors blue, certain grey" in text
    assert text.endswith("last words\n")


def test_without_anything_counted_the_words_say_so() -> None:
    empty = rollout("hold").model_copy(update={"evidence": (), "points": (), "requests": 0})
    assert "Nothing was counted." in telling.message("t", empty, A)
    assert "mermaid" not in render_rollout(empty, "")


def test_a_rollback_by_hand_says_who_and_why() -> None:
    found = back(history(*STORY), None, WHERE)
    text = telling.going_back("Go back", found, "it\nburns", "dana", rollout("hold"))
    assert "Go back\n\nit burns\n\nmetric" in text
    assert f"This reverts commit {'4' * 40}.\n\nRequested-by: dana\nImage: {B.image}" in text
    shown = render_rollback(telling.by_hand(found, "it ``` burns | @all", "dana"), rollout("hold"))
    assert "| reason | it &#96;&#96;&#96; burns &#124; @\N{ZERO WIDTH SPACE}all |" in shown
    assert "| requested by | `dana` |" in shown
    assert "```mermaid" in shown
    assert "mermaid" not in render_rollback(telling.by_hand(found, "", "dana"), None)


def test_an_issue_is_of_one_release_of_one_canary() -> None:
    found = rollout("rollback")
    assert telling.marker(found) == f"<!-- trunkline:rollback:churn:production:{'b' * 12}:1000000 -->"
    assert telling.marker(found) != telling.marker(found.model_copy(update={"started": 2_000_000.0}))


# --- how it stands -------------------------------------------------------------------------------


def test_how_a_model_stands() -> None:
    found = standing("churn", "production", history(*STORY), rollout("hold", stable=B, canary=C), ())
    assert (found.stable, found.canary, found.weight) == (B, C, 5)
    assert (found.since, found.canary_since) == ("2026-11-23T00:00:00+00:00", "2026-11-24T00:00:00+00:00")
    assert found.decision is not None
    assert found.requests == 1000
    older = standing("churn", "production", history(*STORY), rollout("hold"), ())
    assert (older.decision, older.change) == (None, f"{'4' * 12} change 4")
    assert standing("churn", "production", [], None, ()).stable is None
    assert "edited by hand" in (standing("churn", "production", history("by hand"), None, ()).fault or "")
