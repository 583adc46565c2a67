"""Streams whose changes are known, judged window by window at the defaults (../shared/data)."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from ci.core.drift.judge import judge
from ci.core.drift.rules import Rules
from tests.unit.ci.core.drift.samples import profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.profiles import Profile
    from ci.core.drift.records import Drift

DATA = Path(__file__).parents[6] / "shared" / "data"
START = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not DATA.is_dir() and not os.environ.get("CI"), reason="needs ../shared/data, which is not there"
)


def judged(reference: Profile, windows: Sequence[Profile]) -> list[Drift]:
    records: list[Drift] = []
    for index, window in enumerate(windows):
        start = START + timedelta(days=7 * index)
        end = start + timedelta(days=7)
        records.append(judge(reference, window, Rules(), now=end, span=(start, end), earlier=records))
    return records


def test_drift_of_nannymls_car_loans_is_found_in_its_first_window_and_an_alarm_in_its_second() -> None:
    reference, analysis = (pl.read_parquet(DATA / f"car_loan_{part}.parquet") for part in ("reference", "analysis"))
    features = [name for name in analysis.columns if name not in ("id", "timestamp", "y_pred", "y_pred_proba")]

    def table(frame: pl.DataFrame, **given: Any) -> Profile:
        return profile(frame.select(features).to_dict(), score=frame["y_pred_proba"], **given)

    known = table(reference, label=reference["repaid"])
    windows = [
        table(frame[start : start + 5_000], reference=known)
        for frame in (reference, analysis)
        for start in range(0, 50_000, 5_000)
    ]
    records = judged(known, windows)
    assert all(one.findings == () for one in records[:15])
    assert [bool(one.alarms) for one in records] == [False] * 16 + [True] * 4
    assert records[15].findings
    assert records[16].triggers == ("data", "prediction")
    assert records[16].alarms[0].since == records[15].window.start


def test_the_first_change_of_sea_is_told_as_concept_drift_in_its_second_window() -> None:
    rows = pl.read_parquet(DATA / "sea_50k.parquet")
    features, label = ["x0", "x1", "x2"], rows["y"].cast(pl.Float64).to_numpy()
    values = rows.select(features).to_numpy()
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(values[:4_000], label[:4_000])
    score = model.predict_proba(values)[:, 1]

    def table(of: slice, tested: slice, **given: Any) -> Profile:
        return profile(rows[of].select(features).to_dict(), score=score[tested], label=label[tested], **given)

    known = table(slice(0, 4_000), slice(4_000, 8_000))
    parts = [slice(start, start + 1_000) for start in range(8_500, 18_500, 1_000)]  # it changes at 12,500
    records = judged(known, [table(part, part, reference=known) for part in parts])
    assert all(one.findings == () for one in records[:4])
    assert [(one.kind, one.alarm) for one in records[4].findings] == [("concept", False)]
    assert [(one.kind, one.alarm) for one in records[5].findings] == [("concept", True)]
    assert "although no feature moved" in records[5].findings[0].words
