"""Card precision top-k: of the cards that investigators can contact each day, the share found compromised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ci.core.statistics.metrics import Metric
    from ci.core.statistics.rows import Floats, Ints, Rows


@dataclass(frozen=True)
class _Day:
    """The cards seen in one day, most suspicious first, and which of them had a fraud that day."""

    cards: Ints
    compromised: Ints


class CardPrecision:
    """`card_precision_top_k` of the Fraud Detection Handbook (chapter 4, "Precision top-k metrics").

    For each day, a card's score is its highest of that day; the k highest cards are contacted; precision is the
    share of k that had a fraud that day (of k even when fewer cards were seen). A card found so is known from then
    on and left out of later days. The value is the mean over days. Cards of one score rank in the order of `values`.
    """

    def __init__(self, metric: Metric, rows: Rows, score: Floats) -> None:
        present, card = np.unique(rows.columns[metric.card or ""].codes, return_inverse=True)
        day = rows.days[metric.time or ""]
        self.cards = len(present)
        self._top = metric.top or 0
        self._days = [_day(card[day == one], score[day == one], rows.label[day == one]) for one in np.unique(day)]

    def values(self, weights: Ints) -> Floats:
        """(b, cards) counts to (b,): a card counted twice is two cards alike, each of which takes one of k places."""
        left = weights.copy()
        found = np.zeros(len(weights))
        for day in self._days:
            ranked = day.cards[: 4 * self._top]
            if (left.take(ranked, axis=1).sum(axis=1) < self._top).any():
                ranked = day.cards  # some resample needs to look further down
            cards = left.take(ranked, axis=1)
            places = np.clip(self._top - (cards.cumsum(axis=1) - cards), 0, cards)
            hits = places * day.compromised[: len(ranked)]
            found += hits.sum(axis=1)
            left[:, ranked] -= hits
        return found / (self._top * len(self._days))


def _day(codes: Ints, score: Floats, label: Floats) -> _Day:
    cards, member = np.unique(codes, return_inverse=True)
    highest = np.full(len(cards), -np.inf)
    np.maximum.at(highest, member, score)
    compromised = np.bincount(member, weights=label) > 0
    order = np.argsort(-highest, kind="stable")
    return _Day(cards[order], compromised[order].astype(np.int64))
