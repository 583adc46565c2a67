"""Which environment a version is due in, when it was taken back or superseded, and what its pull request holds."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ci.adapters.templates import render_release
from ci.core.errors import ConfigurationError
from ci.core.history import ManifestChange
from ci.core.lineage import Lineage, stages_of
from ci.core.params import Environment
from ci.core.records import Outcome
from ci.core.release import SEAL, Release, Version, _seal, dump, parse, path_of, propose, release
from ci.core.releasing import (
    Due,
    Place,
    Refused,
    Superseded,
    Undecided,
    body,
    branch,
    card_of,
    changes,
    due,
    message,
    places,
    require_current,
    require_pass,
    taken_back,
    title,
    traffic,
)
from ci.core.reporting.markdown import COMMENT_LIMIT, length
from ci.core.units import pattern
from tests.unit.ci.core.samples import passing

STAGING = Environment(steps=[100], labels=["release"], auto_merge=True)
PRODUCTION = Environment(steps=[5, 25, 100])
UNITS = Environment(steps=[5, 25, 100], split="unit")
SHADOW = Environment(steps=[100], shadow=True)


def version(key: str, number: str = "1") -> Version:
    """A version whose hashes all begin with `key`."""
    hashes = {name: key * 64 for name in Lineage.model_fields if name.endswith("_hash")}
    lineage = Lineage.model_validate({"model": "churn", "commit": key * 40, **hashes})
    return Version(image=f"127.0.0.1:5000/line/churn@sha256:{key * 64}", version=number, lineage=lineage)


A, B, C = version("a", "1"), version("b", "2"), version("c", "3")


def stands(environment: str, stable: Version, canary: Version | None = None, weight: int = 0) -> Release:
    return release("churn", environment, stable=stable, canary=canary, weight=weight)


def test_a_first_version_is_due_in_the_first_environment() -> None:
    found = due([Place("staging", None), Place("production", None)], "a" * 64)
    assert (found.environment, found.source) == ("staging", None)


def test_the_next_environment_gets_what_the_one_before_it_runs() -> None:
    found = due([Place("staging", stands("staging", A)), Place("production", None)], "a" * 64)
    assert (found.environment, found.source) == ("production", A)


def test_an_older_version_in_an_environment_is_replaced() -> None:
    both = [Place("staging", stands("staging", A)), Place("production", stands("production", A))]
    assert due(both, "b" * 64).environment == "staging"
    both[0] = Place("staging", stands("staging", B))
    assert due(both, "b" * 64) == Due("production", "production does not run it yet", B)


def test_nothing_is_due_while_an_environment_is_rolling_it_out() -> None:
    found = due([Place("staging", stands("staging", A, B, 25)), Place("production", None)], "b" * 64)
    assert found.environment is None
    assert found.words == "staging is rolling it out, now with 25 per cent of the traffic"


def test_a_newer_version_waits_for_the_end_of_a_rollout_where_it_is_told_to() -> None:
    rolling = stands("production", A, B, 25)
    waiting = due([Place("staging", stands("staging", C)), Place("production", rolling, waits=True)], "c" * 64)
    assert waiting == Due(None, "production is rolling out version 2, and this one waits for its end")
    assert due([Place("production", stands("production", A), waits=True)], "c" * 64).environment == "production"
    assert due([Place("production", rolling)], "c" * 64).environment == "production"
    texts = {path_of("churn", "production"): dump(rolling)}
    (found,) = places(texts.get, "churn", {"production": Environment(steps=[5, 100], newer="wait")}, {})
    assert found.waits


def test_what_is_stable_already_ends_the_rollout_of_a_version_that_main_went_back_from() -> None:
    both = [Place("staging", stands("staging", A)), Place("production", stands("production", A, B, 25))]
    assert due(both, "a" * 64) == Due("production", "production is still rolling out another version", A)
    ended = propose("churn", "production", A, both[1].release, PRODUCTION)
    assert ended == stands("production", A)


def test_nothing_is_due_when_every_environment_runs_it() -> None:
    both = [Place(name, stands(name, A)) for name in ("staging", "production")]
    assert due(both, "a" * 64).environment is None
    assert due(both, "a" * 64).words == "every environment runs it"


def test_what_an_environment_took_back_is_not_proposed_again() -> None:
    staging = Place("staging", stands("staging", B))
    production = Place("production", stands("production", A), taken_back="c" * 40)
    found = due([staging, production], "b" * 64)
    assert found.environment is None
    assert found.words == "production took it back in cccccccccccc; revert that commit to have it again"


def history(*texts: tuple[str, Release | None]) -> list[ManifestChange]:
    path = path_of("churn", "staging")
    told = {"path": path, "model": "churn", "environment": "staging", "when": "2026-11-21T12:00:00+00:00"}
    who = {"author": "bot", "committer": "bot", "subject": "Release"}
    return [
        ManifestChange.model_validate({**told, **who, "commit": commit, "text": dump(made) if made else None})
        for commit, made in texts
    ]


def test_a_version_that_left_an_environment_was_taken_back_by_the_commit_it_left_with() -> None:
    past = history(("1", stands("staging", A)), ("2", stands("staging", B)), ("3", stands("staging", A)))
    assert taken_back(past, {"1", "2", "3"}, "b" * 64) == "3"
    assert taken_back(past, {"1", "2", "3"}, "a" * 64) is None
    assert taken_back(past, {"1", "2", "3"}, "c" * 64) is None


def test_a_release_that_was_removed_was_taken_back_too() -> None:
    assert taken_back(history(("1", stands("staging", A)), ("2", None)), {"1", "2"}, "a" * 64) == "2"


def test_a_version_that_was_put_back_is_there() -> None:
    past = history(("1", stands("staging", A)), ("2", None), ("3", stands("staging", A)))
    assert taken_back(past, {"1", "2", "3"}, "a" * 64) is None


def test_a_version_that_is_merged_anew_was_not_taken_back_by_what_came_before_the_merge() -> None:
    past = history(("1", stands("staging", A)), ("2", stands("staging", B)))
    assert taken_back(past, {"1", "2"}, "a" * 64) == "2"
    assert taken_back(past, set(), "a" * 64) is None


def lock(salt: str) -> dict[str, Any]:
    return {name: {"cmd": name, "salt": salt} for name in stages_of("churn", "full")}


def test_a_base_that_names_another_version_supersedes_this_one() -> None:
    require_current(lock("x"), lock("x"), "churn", "main")
    require_current({**lock("x"), "train@fraud-full": {}}, lock("x"), "churn", "main")
    require_current({}, {}, "churn", "main")
    for other in (lock("y"), {}):
        with pytest.raises(Superseded, match="main has another version") as refusal:
            require_current(other, lock("x"), "churn", "main")
        assert refusal.value.exit_code == 0


def test_what_the_gates_do_not_let_pass_is_not_released() -> None:
    verdict = passing()
    require_pass(verdict)
    require_pass(verdict.model_copy(update={"verdict": Outcome.INCONCLUSIVE}))
    with pytest.raises(Refused, match="fraud is not released") as refusal:
        require_pass(verdict.model_copy(update={"verdict": Outcome.FAIL}))
    assert refusal.value.exit_code == 3
    with pytest.raises(Undecided) as undecided:
        require_pass(verdict.model_copy(update={"verdict": Outcome.INCONCLUSIVE, "blocks": True}))
    assert undecided.value.exit_code == 4


def test_a_release_brings_its_file_its_card_and_what_the_overlay_lacks() -> None:
    overlay = {"k8s/models/churn/staging/kustomization.yaml": "resources: []\n", "k8s/models/churn/there.yaml": "new\n"}
    there = {"k8s/models/churn/there.yaml": "edited by a person\n"}
    made = changes(there.get, A, "staging", STAGING, "# Card\n", overlay)
    assert made == {
        "k8s/models/churn/staging/kustomization.yaml": "resources: []\n",
        "k8s/models/churn/staging/release.yaml": dump(stands("staging", A)),
        "k8s/models/churn/staging/card.md": "# Card\n",
    }


def test_a_later_version_is_the_canary_beside_stable() -> None:
    path = path_of("churn", "production")
    made = changes({path: dump(stands("production", A))}.get, B, "production", PRODUCTION, "", {})
    assert parse(made[path], path) == stands("production", A, B, 5)


def test_a_canary_that_was_not_promoted_is_replaced() -> None:
    path = path_of("churn", "production")
    newest = version("d", "3")
    made = changes({path: dump(stands("production", A, B, 25))}.get, newest, "production", PRODUCTION, "", {})
    assert parse(made[path], path) == stands("production", A, newest, 5)


def test_a_canary_may_first_get_copies_alone() -> None:
    there = stands("staging", A)
    made = propose("churn", "staging", B, there, SHADOW)
    assert made == release("churn", "staging", stable=A, canary=B, shadow=True)
    assert (made.spec.weights.canary, made.spec.routes.canary) == (0, 0)
    assert made.spec.routes.mirrored == "/v2/models/churn/infer"
    assert there.spec.routes.mirrored == "/v2/models/churn/-"
    assert propose("churn", "staging", B, None, SHADOW).spec.canary is None, "nobody is there to be copied from"
    found = due([Place("staging", made)], "b" * 64)
    assert found.words == "staging is rolling it out, now with copies of requests alone"


def test_a_split_by_unit_leaves_requests_without_one_to_stable() -> None:
    made = propose("churn", "production", B, stands("production", A), UNITS)
    assert made.spec.weights.canary == 5
    assert (made.spec.routes.stable, made.spec.routes.canary, made.spec.routes.units) == (100, 0, pattern(5))
    assert stands("production", A, B, 5).spec.routes.units == pattern(0)
    assert parse(dump(made), path_of("churn", "production")) == made


@pytest.mark.parametrize("made", ["split: request", "shadow: false", "mirrored: /v2/models/churn/-", "units: ^-$"])
def test_routes_that_do_not_follow_from_the_rest_are_refused(made: str) -> None:
    path = path_of("churn", "production")
    text = dump(stands("production", A, B, 5))
    other = {"split": "unit", "shadow": "true", "mirrored": "/v2/models/churn/infer", "units": "^[0-3]"}
    key = made.partition(":")[0]
    assert made in text
    edited = yaml.safe_load(text.replace(made, f"{key}: {other[key]}"))
    edited["metadata"]["annotations"][SEAL] = _seal(edited["spec"])
    with pytest.raises(ConfigurationError, match="it was edited by hand"):
        parse(yaml.safe_dump(edited), path)


def test_a_release_that_was_edited_by_hand_is_refused_with_its_file() -> None:
    path = path_of("churn", "production")
    edited = dump(stands("production", A)).replace("a" * 64, "b" * 64, 1)
    with pytest.raises(ConfigurationError, match=rf"{path}: it was edited by hand"):
        places({path: edited}.get, "churn", {"staging": STAGING, "production": PRODUCTION}, {})
    with pytest.raises(ConfigurationError, match="edited by hand"):
        changes({path: edited}.get, B, "production", PRODUCTION, "", {})


def test_a_release_that_was_copied_from_another_place_is_refused() -> None:
    path = path_of("churn", "production")
    read = {path: dump(stands("staging", A))}.get
    copied = {path_of("fraud", "production"): dump(stands("production", A))}
    with pytest.raises(ConfigurationError, match=rf"{path}: it is the release of churn in staging"):
        places(read, "churn", {"staging": STAGING, "production": PRODUCTION}, {})
    with pytest.raises(ConfigurationError, match="it is the release of churn in staging"):
        changes(read, B, "production", PRODUCTION, "", {})
    with pytest.raises(ConfigurationError, match="it is the release of churn in production"):
        places(copied.get, "fraud", {"production": PRODUCTION}, {})


def test_the_words_of_a_pull_request() -> None:
    assert branch("churn", "production") == "release/churn/production"
    assert card_of("churn", "production") == "k8s/models/churn/production/card.md"
    assert title(B, "production", PRODUCTION, first=False) == "Release churn 2 to production, 5 % of the traffic first"
    assert title(B, "production", PRODUCTION, first=True) == title(B, "production", STAGING, first=False)
    assert f"\nLock: {'b' * 64}\n" in message(B, "Release")
    current = stands("production", A)
    assert traffic(PRODUCTION, current) == "5 % to the canary, beside stable version 1, then 25 %, 100 %"
    assert traffic(STAGING, current) == "all of it at once, in place of version 1"
    assert traffic(UNITS, current) == "5 % to the canary by unit, beside stable version 1, then 25 %, 100 %"
    assert traffic(SHADOW, current) == "copies to the canary, while stable version 1 answers; then 100 %"
    assert title(B, "production", SHADOW, first=False) == "Release churn 2 to production, copies of the traffic first"
    assert traffic(PRODUCTION, None) == "all of it: nothing else is running there to compare with"


def test_the_body_names_the_digest_and_compares_with_the_champion() -> None:
    text = render_release(body(B, "production", PRODUCTION, stands("production", A), "It passes.", "# Card"), passing())
    assert f"`{B.image}`" in text
    assert "5 % to the canary" in text
    assert "### Metrics" in text
    assert "# Card" in text


def test_a_body_that_would_be_too_long_loses_the_card_and_keeps_the_facts() -> None:
    long = body(B, "production", PRODUCTION, None, "It passes.", "x" * COMMENT_LIMIT)
    text = render_release(long, passing())
    assert length(text) <= COMMENT_LIMIT
    assert B.image in text
    assert "xxx" not in text
    assert "k8s/models/churn/production/card.md" in text
