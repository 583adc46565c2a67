"""The loop on the Handbook's transactions, week by week: `python -m benchmarks.drift.handbook`.

A histogram gradient boosting (light, so that it runs in minutes) learns from the first three weeks and is watched from
then on. Where a week gives `trunkline retrain` a reason, a pull request would be opened: a candidate learns from the
three newest weeks whose labels are known, and is judged beside the champion on the two weeks after them, which neither
has seen. It takes over where its average precision is higher. With hindsight each week shows what the champion, the
first model and one made anew each week were really worth on the two weeks that follow.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from datetime import date as date_of
from datetime import timedelta
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in __main__

import polars as pl
from sklearn.metrics import average_precision_score

from benchmarks.drift import methods
from benchmarks.drift.published import DATA
from benchmarks.drift.simulators import DELAY, TEST, TRAIN
from benchmarks.drift.streams import LABEL, SCORE, Stream, fitted
from ci.core.drift.judge import judge
from ci.core.drift.quality import MOST_ROWS
from ci.core.drift.rules import Rules
from ci.core.records import Outcome
from ci.core.retraining import deciding
from ml.models.fraud import features as fraud

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.core.drift.records import Drift

WEEK = 7
COOLDOWN = 7  # days, the default of drift.retrain
START = date_of(2018, 4, 1)


@dataclass(frozen=True)
class Model:
    """What adds its scores to rows, and the stream that its data is the reference of."""

    score: Any
    stream: Stream


def main() -> int:
    """Print a line a week, and what the loop came to."""
    started = time.perf_counter()
    frame = fraud.features(pl.read_parquet(DATA / "handbook_raw_dev_0401_0814.parquet"))
    parts = frame.with_columns(pl.col(fraud.LABEL).alias(LABEL)).partition_by("TX_TIME_DAYS", maintain_order=True)
    days = [part.select(*fraud.FEATURES, LABEL) for part in parts]
    first = champion = made(days, TRAIN + DELAY + TEST)
    records: list[Drift] = []
    opened = -COOLDOWN
    print("average precision on the two weeks that follow:\nweek to      champion  first  anew   in alarm")
    for now in range(TRAIN + DELAY + TEST + WEEK + DELAY, len(days) + 1, WEEK):
        drift = watched(champion, days, now, records)
        records.append(drift)
        anew = made(days, now - DELAY)
        kinds = ", ".join(drift.triggers) or "-"
        print(f"{date(now)}   {'  '.join(truth(one, days, now) for one in (champion, first, anew))}   {kinds}")
        told(drift)
        if deciding.reasons(drift) and now - opened >= COOLDOWN:
            opened = now
            mine, theirs = (judged(one, days, now) for one in (champion, anew))
            print(f"    pull request: candidate {theirs:.3f}, champion {mine:.3f} on the newest labels", flush=True)
            if theirs > mine:
                champion, records = anew, []
    print(f"{time.perf_counter() - started:,.0f} s")
    return 0


def told(drift: Drift) -> None:
    """What was found, and where labels are known the average precision, and what else did not hold."""
    for row in drift.quality:
        if row.metric == "average_precision" or row.verdict is not Outcome.PASS:
            print(f"    {row.verdict}: {row.reason}")
    for finding in drift.findings:
        alarm = f"alarm, {finding.windows} windows" if finding.alarm else "notice"
        value = "" if finding.value is None else f" {finding.value:.3g}, {finding.limit or 0:.3g} tolerated"
        print(f"    {alarm}: {finding.kind} {finding.subject}{value}", flush=True)


def made(days: Sequence[pl.DataFrame], end: int) -> Model:
    """The model whose test rows end before day `end`, with the split of the fraud model: 21 days, 7 of delay, 14."""
    tested, trained = end - TEST, end - TEST - DELAY - TRAIN
    train = days[max(trained, 0) : tested - DELAY]
    score = fitted(pl.concat(list(train)), fraud.FEATURES)
    test = score(pl.concat(list(days[tested:end])))
    stream = Stream("Handbook", "stationary", list(train), test, (), fraud.FEATURES, delay=DELAY)
    return Model(score, stream)


def watched(model: Model, days: Sequence[pl.DataFrame], now: int, records: Sequence[Drift]) -> Drift:
    """The week before day `now`, judged as `trunkline drift` does; labels are those of the week before its delay."""
    recent = {index: model.score(days[index]) for index in range(now - WEEK - DELAY, now)}
    stream = model.stream
    origin = methods.trained(stream)
    profiles = {index: methods.profiled(stream, day, index, origin) for index, day in recent.items()}
    window = methods.whole([profiles[index] for index in range(now - WEEK, now)], scores_only=True)
    late = range(now - WEEK - DELAY, now - DELAY)
    rules = Rules()
    end = stream.start + timedelta(days=now)
    return judge(
        methods.read(origin),
        window,
        rules,
        now=end,
        span=(end - timedelta(days=WEEK), end),
        earlier=records,
        quality=methods.qualities([recent[index] for index in late], [stream.test], rules, MOST_ROWS),
        labelled=methods.whole([profiles[index] for index in late]),
    )


def judged(model: Model, days: Sequence[pl.DataFrame], now: int) -> float:
    """Average precision on the two newest weeks whose labels are known."""
    return precision(model, days[now - DELAY - TEST : now - DELAY])


def truth(model: Model, days: Sequence[pl.DataFrame], now: int) -> str:
    """Average precision on the two weeks from `now` on, which nobody knows then."""
    after = days[now : now + TEST]
    return f"{precision(model, after):.3f}" if len(after) >= WEEK else "  -  "


def precision(model: Model, days: Sequence[pl.DataFrame]) -> float:
    """Average precision of a model's scores."""
    rows = model.score(pl.concat(list(days)))
    return float(average_precision_score(rows.get_column(LABEL).to_numpy(), rows.get_column(SCORE).to_numpy()))


def date(day: int) -> str:
    """The date of a day."""
    return (START + timedelta(days=day - 1)).isoformat()


if __name__ == "__main__":
    sys.exit(main())
