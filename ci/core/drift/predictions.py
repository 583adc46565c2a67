"""What the model answers, and what labels say, beside the reference: scores, decisions, confidence, class balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ci.core.drift import words
from ci.core.drift.cells import middles, of_columns, of_numbers
from ci.core.drift.columns import Compared, compare
from ci.core.drift.distances import jensen_shannon, kolmogorov_smirnov
from ci.core.drift.findings import Found
from ci.core.drift.seasons import beyond, part_of
from ci.core.drift.significance import adjusted, p_value, two_shares
from ci.core.errors import ConfigurationError
from ci.core.statistics.metrics import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.cells import Common, Floats
    from ci.core.drift.profiles import Profile
    from ci.core.drift.rules import Rules
    from ci.core.drift.seasons import Covered, Season


@dataclass(frozen=True)
class _Asked:
    subject: str
    statistic: str | None
    value: float
    limit: float
    p_value: float
    words: str
    at_once: bool = False


def predictions(reference: Profile, window: Profile, labelled: Profile, rules: Rules, covered: Covered) -> list[Found]:
    """What was found in scores as a whole and by slice, in decisions, and in the labels of the window `labelled`.

    `covered` are the reference's seasons. Raises ConfigurationError where the window's scores are another model's than
    the reference's.
    """
    if reference.score is None or window.score is None or not window.score.cells.total:
        return _found([*_lacking(reference, window, rules), *_labels(reference, labelled, rules, covered)], rules)
    if None not in (reference.model_hash, window.model_hash) and reference.model_hash != window.model_hash:
        raise ConfigurationError(
            f"the window's scores are of model {window.model_hash}, the reference's of {reference.model_hash}; "
            "judge a version's rows by its own reference."
        )
    scores = compare(reference.score, window.score, rules.limits.effect, "kolmogorov_smirnov", covered.score)
    asked = [
        _score(scores, reference),
        *_lacking(reference, window, rules),
        *_by_slice(reference, window, rules, covered),
        *_labels(reference, labelled, rules, covered),
    ]
    if reference.joint is not None:
        asked.append(_decisions(scores.common, rules, covered))
    return _found(asked, rules)


def _found(asked: Sequence[_Asked], rules: Rules) -> list[Found]:
    p_values = adjusted([one.p_value for one in asked])
    return [
        Found("prediction", one.subject, one.words, one.statistic, one.value, one.limit, p, at_once=one.at_once)
        for one, p in zip(asked, p_values, strict=True)
        if p <= rules.false_discoveries and one.value >= one.limit
    ]


def _score(scores: Compared, reference: Profile) -> _Asked:
    text = words.moved("the score", scores.statistic, scores.value, scores.limit, scores.common)
    if reference.joint is not None:
        before, after = _confidence(scores.common)
        text += f", its mean confidence from {words.number(before)} to {words.number(after)}"
    return _Asked("score", scores.statistic, scores.value, scores.limit, scores.p_value, text)


def _lacking(reference: Profile, window: Profile, rules: Rules) -> list[_Asked]:
    """Answered rows without a finite score, where there are more of them."""
    if reference.score is None or window.score is None or not window.score.rows:
        return []
    of, of_other = window.score.rows, max(reference.score.rows, 1)
    count, other = of - window.score.cells.total, reference.score.rows - reference.score.cells.total
    share, usual = count / of, other / of_other
    text = words.share("the score", "is missing or infinite", share, usual, rules.limits.missing)
    p = two_shares(count, of, other, of_other)
    return [_Asked("missing scores", None, share, rules.limits.missing + usual, p, text, at_once=count == of)]


def _confidence(common: Common) -> tuple[float, float]:
    """The mean probability given to the decision that is made, of reference and window."""
    score = middles(common)
    sure = np.maximum(score, 1 - score)
    return tuple(float(share @ sure) for share in common.shares)  # type: ignore[return-value]


def _decisions(common: Common, rules: Rules, covered: Covered) -> _Asked:
    positive = middles(common) >= THRESHOLD
    season = covered.score.shares(THRESHOLD)
    return _binary("positive decisions", common.reference, common.window, positive, rules, season)


def _labels(reference: Profile, window: Profile, rules: Rules, covered: Covered) -> list[_Asked]:
    """The class balance of the labels that are known, where there are enough."""
    if reference.label is None or window.label is None or window.labelled < rules.least_rows:
        return []
    if reference.joint is None:
        found = compare(reference.label, window.label, rules.limits.effect, "kolmogorov_smirnov", covered.label)
        text = words.moved("the label", found.statistic, found.value, found.limit, found.common)
        return [_Asked("label", found.statistic, found.value, found.limit, found.p_value, text)]
    common = of_columns(reference.label, window.label)
    season = covered.label.shares(THRESHOLD)
    return [_binary("positive labels", common.reference, common.window, middles(common) > 0, rules, season)]


def _binary(
    subject: str, mine: Floats, theirs: Floats, positive: NDArray[np.bool_], rules: Rules, season: Season
) -> _Asked:
    """A share of two classes: Jensen-Shannon of both."""
    n, m = float(theirs.sum()), float(mine.sum())
    a, b = float(theirs[positive].sum()), float(mine[positive].sum())
    share, usual = a / max(n, 1), b / max(m, 1)
    value = jensen_shannon(np.array([usual, 1 - usual]), np.array([share, 1 - share]))
    text = f"{subject} are {words.percent(share)}, and {words.percent(usual)} in the reference"
    off = season.off("jensen_shannon")
    more = round((a - usual * n) * part_of(off, value, "jensen_shannon"))
    p = two_shares(int(a) - more, int(n), int(b), int(m))
    return _Asked(subject, "jensen_shannon", value, max(rules.limits.effect, off), p, text)


def _by_slice(reference: Profile, window: Profile, rules: Rules, covered: Covered) -> list[_Asked]:
    """The scores of each slice that has rows enough on both sides."""
    found = []
    for column, values in window.slices.items():
        for value, one in values.items():
            mine = reference.slices.get(column, {}).get(value)
            if mine is None or mine.score is None or one.score is None or min(one.rows, mine.rows) < rules.least_rows:
                continue
            common = of_numbers(mine.score, one.score)
            far = kolmogorov_smirnov(common)
            off = covered.slice(column, value).off("kolmogorov_smirnov")
            most = max(rules.limits.effect, off)
            name = f"{column}={value}"
            text = words.moved(f"the score of {name}", "kolmogorov_smirnov", far, most, common)
            p = p_value("kolmogorov_smirnov", beyond(common, part_of(off, far, "kolmogorov_smirnov")))
            found.append(_Asked(name, "kolmogorov_smirnov", far, most, p, text))
    return found
