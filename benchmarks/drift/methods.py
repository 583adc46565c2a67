"""Ways to watch a stream: each says of every watched day, once the first window is whole, whether it is in alarm.

None is a day that was not asked.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy.stats import chi2_contingency, ks_2samp

from benchmarks.drift.streams import LABEL, SCORE, TIME
from ci.core.drift.judge import judge
from ci.core.drift.profiles import parse_profile
from ci.core.drift.quality import quality
from ci.core.drift.rules import Rules
from ci.core.statistics.measure import Resampling
from ci.core.statistics.rows import Rows
from ml.profiles import profile as made
from ml.profiles.seasons import Scored, Seasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.drift.streams import Stream
    from ci.core.drift.profiles import Profile
    from ci.core.drift.records import Drift, QualityRow

MODEL = "stream"
ALPHA, DRIFT_SHARE = 0.05, 0.5
RESAMPLES, CONFIDENCE = 200, 0.95
MOST_ROWS = 2_000  # of a reference and of a window that Evidently gets
LONG = 100  # days
MOST_JUDGED = 40_000  # rows that are resampled, of either side
REMEMBERED = 21  # days of earlier records that are handed on


@dataclass
class Watched:
    """`alarms` by watched day, `why` of the first day of each alarm, and how long a check took, in seconds.

    `records` are those that were left behind, a day each.
    """

    alarms: dict[int, bool] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    records: list[Drift] = field(default_factory=list)


def trunkline(stream: Stream, *, labels: bool = True) -> Watched:
    """A check a day by `ci.core.drift.judge`, at the defaults, with daily profiles that are merged.

    Labels come `stream.delay` days late; in streams of more than 100 days they are judged once in a window's length, as
    resampling takes most of the time. Importance of columns is taken as unknown.
    """
    rules = Rules(days=stream.window)
    origin = trained(stream)
    reference = read(origin)
    days = [profiled(stream, day, index, origin) for index, day in enumerate(stream.days)]
    every = stream.window if len(stream.days) > LONG else 1
    found = Watched()
    late: Profile | None = None
    rows: tuple[QualityRow, ...] = ()
    started = time.perf_counter()
    for end in range(stream.window, len(stream.days) + 1):
        window = whole(days[end - stream.window : end], scores_only=stream.delay > 0 or not labels)
        known = end - stream.delay
        if labels and known >= stream.window and (known - stream.window) % every == 0:
            late = whole(days[known - stream.window : known])
            rows = qualities(stream.days[known - stream.window : known], [stream.test], rules)
        now = stream.start + timedelta(days=end)
        drift = judge(
            reference,
            window,
            rules,
            now=now,
            span=(now - timedelta(days=stream.window), now),
            earlier=found.records[-REMEMBERED:],
            quality=rows,
            labelled=late,
        )
        found.records.append(drift)
        found.alarms[end - 1] = bool(drift.alarms)
        if drift.alarms and not found.alarms.get(end - 2):
            found.why[end - 1] = ", ".join(f"{one.kind} {one.subject}" for one in drift.alarms)
    found.seconds = (time.perf_counter() - started) / max(len(found.records), 1)
    return found


def kolmogorov_smirnov(stream: Stream) -> Watched:
    """A check a day: any column with p < 0.05, by Kolmogorov-Smirnov, or chi-square for texts and truth values."""
    reference = pl.concat([day.select(stream.features) for day in stream.train])
    sides = {name: _sorted(reference.get_column(name)) for name in stream.features}
    found, started = Watched(), time.perf_counter()
    for end in range(stream.window, len(stream.days) + 1):
        window = pl.concat([day.select(stream.features) for day in stream.days[end - stream.window : end]])
        small = {name: p for name in stream.features if (p := _p(sides[name], window.get_column(name))) < ALPHA}
        found.alarms[end - 1] = bool(small)
        if small and not found.alarms.get(end - 2):
            found.why[end - 1] = ", ".join(small)
    found.seconds = (time.perf_counter() - started) / max(len(found.alarms), 1)
    return found


def evidently(stream: Stream, most: int) -> Watched:
    """DataDriftPreset at its defaults, of features and score: in alarm where half of the columns have drifted.

    It is asked of `most` windows that do not overlap, spread evenly, and of the first two after a change; reference
    and windows are samples of 2,000 rows, since it takes seconds for each.
    """
    from evidently import Report  # noqa: PLC0415 - seconds to import, and not everywhere
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    columns = [*stream.features, SCORE]
    reference = stream.test if set(columns) <= set(stream.test.columns) else pl.concat(list(stream.train))
    before = _frame(reference.select(columns))
    ends = list(range(stream.window, len(stream.days) + 1, stream.window))
    chosen = {ends[int(index)] for index in np.linspace(0, len(ends) - 1, min(most, len(ends)))}
    if stream.change is not None:
        chosen |= {stream.change + stream.window * windows for windows in (1, 2)}
    found, started = Watched(), time.perf_counter()
    for end in sorted(one for one in chosen if one <= len(stream.days)):
        window = pl.concat([day.select(columns) for day in stream.days[end - stream.window : end]])
        told = Report([DataDriftPreset()]).run(_frame(window), before).dict()
        share = float(told["metrics"][0]["value"]["share"])
        found.alarms[end - 1] = share >= DRIFT_SHARE
        if share >= DRIFT_SHARE:
            found.why[end - 1] = f"{share:.0%} of the columns"
    found.seconds = (time.perf_counter() - started) / max(len(found.alarms), 1)
    return found


# --- parts -----------------------------------------------------------------------------------------


def profiled(stream: Stream, day: pl.DataFrame, index: int, against: Any = None) -> Any:
    """The profile of one day's rows, their times spread over it; of a window's, `against` the reference."""
    start = stream.start + timedelta(days=index)
    times = pl.Series(np.linspace(0, 86_399, day.height).astype(np.int64) * 1_000_000).cast(pl.Duration("us")) + start
    found = made.Profile(MODEL, "window" if against else "train").with_rows(
        day.select(stream.features), stream.features, reference=against, time=times, now=start + timedelta(days=2)
    )
    if SCORE in day.columns:
        found = found.with_scores(
            day.get_column(SCORE).to_numpy(), day.get_column(LABEL).to_numpy().astype(float), binary=True
        )
    return found


def trained(stream: Stream) -> Any:
    """The reference: features of the rows that were trained on, scores and labels of the test rows, and seasons."""
    days = [
        profiled(stream, day.select(stream.features), index - len(stream.train))
        for index, day in enumerate(stream.train)
    ]
    found = reduce(made.merged, days).with_scores(
        stream.test.get_column(SCORE).to_numpy(), stream.test.get_column(LABEL).to_numpy().astype(float), binary=True
    )
    if TIME not in stream.test.columns:
        return found
    rows = pl.concat([day for day in stream.train if day.height])
    train, test = (
        Scored(
            frame.get_column(TIME), frame.get_column(SCORE).to_numpy(), frame.get_column(LABEL).to_numpy() * 1.0, frame
        )
        for frame in (rows, stream.test)
    )
    taken = rows.select(stream.features)
    seasons = Seasons.of(taken, found.columns, train, test, stream.window, {}, binary=True)
    return replace(found, seasons=seasons)


def whole(days: Sequence[Any], *, scores_only: bool = False) -> Profile:
    """A window's profile as `ci` reads it; without labels, what is known before they arrive."""
    found = json.loads(reduce(made.merged, days).to_json())
    if scores_only:
        found |= {"label": None, "joint": None}
    return parse_profile(found, "profile.json")


def read(profile: Any) -> Profile:
    """A profile as `ci` reads it."""
    return parse_profile(json.loads(profile.to_json()), "profile.json")


def _rows(days: Sequence[pl.DataFrame], most: int) -> Rows:
    names = [name for name in (SCORE, LABEL, TIME) if name in days[0].columns]
    frame = pl.concat([day.select(names) for day in days])
    frame = frame.gather_every(-(-frame.height // most))
    return Rows(
        ids=np.arange(frame.height),
        label=frame.get_column(LABEL).to_numpy().astype(float),
        score=frame.get_column(SCORE).to_numpy(),
        columns={},
        days={TIME: days_of(frame)} if TIME in frame.columns else {},
    )


def qualities(
    window: Sequence[pl.DataFrame], reference: Sequence[pl.DataFrame], rules: Rules, most: int = MOST_JUDGED
) -> tuple[QualityRow, ...]:
    """What reports show of scores and labels, window against reference, of `most` rows on either side."""
    mine, theirs = _rows(window, most), _rows(reference, most)
    return quality((), "binary", mine, theirs, rules, Resampling(RESAMPLES, 1), CONFIDENCE, TIME)


def days_of(frame: pl.DataFrame) -> Any:
    """Days since 1970."""
    return frame.get_column(TIME).dt.date().to_physical().cast(pl.Int64).to_numpy()


def _sorted(column: pl.Series) -> Any:
    """A reference column as `_p` takes it."""
    if column.dtype in (pl.String, pl.Boolean):
        return column.cast(pl.String)
    return np.sort(column.cast(pl.Float64).drop_nulls().to_numpy())


def _p(reference: Any, window: pl.Series) -> float:
    if isinstance(reference, pl.Series):
        counts = [dict(side.value_counts().iter_rows()) for side in (reference, window.cast(pl.String))]
        names = sorted({name for side in counts for name in side if name is not None})
        return float(chi2_contingency([[side.get(name, 0) for name in names] for side in counts]).pvalue)
    values = window.cast(pl.Float64).drop_nulls().to_numpy()
    return float(ks_2samp(reference, values, method="asymp").pvalue) if values.size else 0.0


def _frame(rows: pl.DataFrame) -> Any:
    """As pandas, a sample of rows; texts of a truth value, which Evidently takes for no category."""
    sample = rows.sample(min(rows.height, MOST_ROWS), seed=0)
    return sample.with_columns(pl.col(pl.Boolean).cast(pl.String)).to_pandas()
