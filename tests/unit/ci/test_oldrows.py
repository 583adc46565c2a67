"""Which of the rows that the champion was judged on are still to be scored by the candidate."""

from __future__ import annotations

import numpy as np

from ci.commands.oldrows import unscored
from tests.unit.ci.core import cases


def test_rows_in_common_are_not_scored_again_unless_a_label_is_another() -> None:
    label, score = cases.scored(100)
    mine = cases.rows(label, score)
    assert unscored(mine, mine) == 0
    assert unscored(mine.take(np.arange(40)), mine) == 0
    assert unscored(mine, mine.take(np.arange(40))) == 60
    other = label.copy()
    other[3] = 1 - other[3]
    assert unscored(cases.rows(other, score), mine) == 100, "an id may stand for another row by now"
    assert unscored(cases.rows(label, score, ids=[f"a{place}" for place in range(100)]), mine) == 100
