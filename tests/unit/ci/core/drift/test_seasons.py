"""Windows of one season, held to a reference that has all of them and knows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from ci.core.drift import seasons
from ci.core.drift.cells import of_numbers
from ci.core.drift.distances import kolmogorov_smirnov
from ci.core.drift.judge import judge
from ci.core.drift.profiles import Profile
from ci.core.drift.rules import Rules
from ci.core.drift.seasons import Covered
from tests.unit.ci.core.drift.samples import column, profile

START = datetime(2025, 1, 6, tzinfo=UTC)
WEEKS, EACH = 12, 2_000
SEASON = np.sin(2 * np.pi * np.arange(WEEKS) / WEEKS)
NOW = START + timedelta(days=400)


def rows(mean: Any, n: int, seed: int, turned: Any = 0.0) -> dict[str, Any]:
    """Amounts around a mean, some missing, and of which kind; the more of them, the more positive scores and labels."""
    rng = np.random.default_rng(seed)
    amount = rng.normal(mean, 1, n)
    score = 1 / (1 + np.exp(-amount))
    label = (rng.random(n) < np.clip(score + turned, 0, 1)).astype(float)
    kind = np.where(rng.random(n) < 0.5 + 0.2 * np.asarray(mean), "a", "b")
    lacking = rng.random(n) < 0.2 + 0.2 * np.asarray(mean)
    table = {"amount": amount, "kind": kind, "other": np.where(lacking, np.nan, rng.normal(size=n))}
    return {"values": table, "score": score, "label": label}


def year(*, turned: Any = 0.0, days: int | None = 7) -> Profile:
    """A reference of twelve weeks, each a month's season."""
    times = [START + timedelta(days=7 * week, minutes=minute) for week in range(WEEKS) for minute in range(EACH)]
    times[-1] = START + timedelta(days=7 * WEEKS, seconds=-1)
    found = rows(np.repeat(SEASON, EACH), WEEKS * EACH, 0, turned)
    return profile(**found, times=times, now=NOW, slices=("kind",), days=days)


KNOWN = year()
UNKNOWN = KNOWN.model_copy(update={"seasons": None})


def told(reference: Profile, mean: float, *, seed: int = 1, rules: Rules | None = None, **given: Any) -> dict[str, Any]:
    """What a window of 2,200 rows is found for, with the limit."""
    found = rows(mean, 2_200, seed, **given)
    window = profile(**found, reference=reference, slices=("kind",))
    drift = judge(reference, window, rules or Rules(), now=NOW, span=(NOW - timedelta(days=7), NOW))
    return {f"{one.kind} {one.subject}": one.limit for one in drift.findings if one.kind != "volume"}


def test_the_height_of_a_season_is_no_drift_where_it_is_known_and_what_is_beyond_it_is() -> None:
    everything = {"data amount", "data kind", "missing other", "prediction score", "prediction kind=a"}
    everything |= {"prediction kind=b", "prediction positive decisions", "prediction positive labels"}
    assert set(told(UNKNOWN, 1.0)) == everything
    assert told(KNOWN, 1.0) == {}
    assert told(KNOWN, -1.0) == {}
    beyond = told(KNOWN, 1.5)
    assert {"data amount", "data kind", "missing other", "prediction score", "prediction positive decisions"} <= set(
        beyond
    )
    assert beyond["data amount"] == pytest.approx(0.37, abs=0.03)


def test_a_window_is_certainly_beyond_a_season_or_not_found() -> None:
    """Of windows like the furthest stretch, half are further off than it was, by chance."""
    found = [told(KNOWN, 1.0, seed=seed) for seed in range(2, 10)]
    assert all(one == {} for one in found)


def test_seasons_of_another_length_are_left_alone_and_told() -> None:
    rules = Rules(days=14)
    assert "data amount" in told(KNOWN, 1.0, rules=rules)
    (words,) = seasons.notes(KNOWN, rules)
    assert words.startswith("Windows are of 14 days and the reference's seasons of 7")
    assert seasons.notes(KNOWN, Rules()) == seasons.notes(UNKNOWN, rules) == ()


def test_stretches_of_few_rows_tell_nothing() -> None:
    assert "data amount" in told(KNOWN, 1.0, rules=Rules(least_rows=2_100))
    assert Covered.by(KNOWN, Rules(least_rows=2_100)).volume == (1.0, 1.0)


def test_groups_hide_little_of_how_far_a_stretch_is() -> None:
    found = rows(np.repeat(SEASON, EACH), WEEKS * EACH, 0)["values"]["amount"]
    exact = [kolmogorov_smirnov(of_numbers(column(found).cells, column(part).cells)) for part in np.split(found, WEEKS)]
    known = Covered.by(KNOWN, Rules()).column("amount").off("kolmogorov_smirnov")
    assert max(exact) - 0.02 < known <= max(exact) + 0.005


def test_labels_that_follow_otherwise_from_scores_in_a_season_are_known_of_it() -> None:
    known = year(turned=np.repeat(np.where(SEASON > 0.9, -0.2, 0.0), EACH))
    assert "concept labels" in told(known.model_copy(update={"seasons": None}), 1.0, turned=-0.2)
    assert told(known, 1.0, turned=-0.2) == {}
    assert "concept labels" in told(known, 1.0, turned=-0.45)


def test_rows_a_day_are_as_few_and_as_many_as_in_any_season() -> None:
    counts = [600, 1_500, 1_500, 1_500, 3_600]
    times = [
        START + timedelta(days=7 * week, seconds=604_799 * row / count)
        for week, count in enumerate(counts)
        for row in range(count)
    ]
    known = profile({"x": np.random.default_rng(0).normal(size=len(times))}, times=times, now=NOW, days=7)
    covered = Covered.by(known, Rules())
    assert covered.volume == (0.4, 2.4)

    def found(reference: Profile, rows: int) -> list[str]:
        window = profile({"x": np.random.default_rng(1).normal(size=rows)}, reference=reference)
        drift = judge(reference, window, Rules(), now=NOW, span=(NOW - timedelta(days=7), NOW))
        return [one.subject for one in drift.findings]

    usual = sum(counts) / len(counts)
    for share, beyond in ((0.42, 0.35), (2.3, 2.6)):
        assert found(known.model_copy(update={"seasons": None}), int(usual * share)) == ["rows"]
        assert found(known, int(usual * share)) == []
        assert found(known, int(usual * beyond)) == ["rows"]
