"""What a window showed, as Markdown."""

from __future__ import annotations

from typing import Any

from ci.adapters import templates
from ci.core.drift.records import Bin, ColumnRow, Drift, EstimateRow, Finding, QualityRow, Reference, Window
from ci.core.records import Interval, Outcome
from ci.core.reporting import drift as shown
from ci.core.reporting.show import MINUS

HASH = "ab" * 16


def row(name: str = "amount", value: float = 0.2, **more: Any) -> ColumnRow:
    bins = (Bin(name="up to 10", reference=0.8, window=0.1), Bin(name="more", reference=0.2, window=0.9))
    told: dict[str, Any] = {"statistic": "jensen_shannon", "limit": 0.1, "p_value": 1e-9, "importance": 0.5}
    told |= {"drifted": value > 0.1, "bins": bins, **more}
    return ColumnRow(column=name, kind="number", value=value, **told)


def window(day: int, *columns: ColumnRow, outcome: Outcome = Outcome.FAIL, **more: Any) -> Drift:
    start, end = (f"2026-11-{at:02}T00:00:00Z" for at in (day - 7, day))
    return Drift(
        model="churn",
        window=Window(start=start, end=end, rows=1200, labelled=30),
        reference=Reference(model_hash=HASH, commit="c" * 40, rows=5000),
        outcome=outcome,
        summary="amount drifted.",
        columns=columns,
        **more,
    )


FOUND = Finding(
    kind="data",
    subject="amount",
    value=0.2,
    limit=0.1,
    since="2026-11-13T00:00:00Z",
    counted="2026-11-27T00:00:00Z",
    windows=2,
    alarm=True,
    words="amount is not distributed as it was.",
)


def test_one_row_is_one() -> None:
    one = window(27).model_copy(update={"window": Window(start="2026-11-20", end="2026-11-27", rows=1, labelled=0)})
    assert "2026-11-27 UTC · 1 row, 0 with a label" in templates.render_drift(one)


def test_it_says_what_drifted_since_when_and_how() -> None:
    quality = QualityRow(
        metric="roc_auc",
        slice="plan=basic",
        higher_is_better=True,
        n=30,
        value=0.7,
        n_reference=500,
        reference=0.8,
        difference=-0.1,
        interval=Interval(low=-0.2, high=-0.01, confidence=0.95),
        verdict=Outcome.FAIL,
        reason="worse",
    )
    few = quality.model_copy(
        update={"slice": "plan=plus", "value": None, "verdict": Outcome.INCONCLUSIVE, "reason": "not judged: too few"}
    )
    estimate = EstimateRow(metric="roc_auc", higher_is_better=True, n=1200, reference=0.8, value=0.71, worse=True)
    drift = window(27, row(), row("age", 0.01), findings=(FOUND,), quality=(quality, few), estimate=(estimate,))
    text = templates.render_drift(
        drift, [window(13, row(value=0.05)), window(20, row(value=0.15))], marker="<!-- m -->"
    )
    assert text.startswith("<!-- m -->\n## ❌ Drift of `churn`: alarm\n\namount drifted.\n")
    assert "2026-11-20 to 2026-11-27 UTC · 1,200 rows, 30 with a label" in text
    assert "model abababab was trained on at commit cccccccccccc" in text
    assert "| ❌ | data | amount | amount is not distributed as it was. | 2026-11-13 | 2 |" in text
    assert (
        f"| roc\\_auc, plan=basic | 0.8000 | 0.7000 | {MINUS}0.1000 | {MINUS}0.2000 to {MINUS}0.0100 | 30 | ❌ fail |"
        in text
    )
    assert "| 30 | ⚠️ not judged: too few |" in text
    assert "| roc\\_auc (worse) | 0.8000 | 0.7100 |" in text
    assert "| `amount` | reference | up to 10 | `█▂` | more |" in text
    assert "| | window | | `▁█` | |" in text
    assert "xychart-beta" in text
    assert "amount blue, found from here on grey" in text
    assert text.index("| amount (drifted) |") < text.index("| age |")


def test_nothing_is_shown_of_what_was_not_looked_at() -> None:
    text = templates.render_drift(window(27, outcome=Outcome.PASS))
    assert text.startswith("## ✅ Drift of `churn`: nothing drifted")
    assert "###" not in text
    assert "|" not in text


def test_a_plot_is_of_windows_of_one_model_and_bounded() -> None:
    other = window(20, row()).model_copy(update={"reference": Reference(model_hash="cd" * 16, rows=5000)})
    assert shown.view(window(27, row()), [other]).mermaid is None
    drawn = shown.view(window(27, row(value=40.0)), [window(20, row())]).mermaid
    assert drawn is not None
    assert "0.0000 --> 5.0000" in drawn


def test_names_of_others_are_only_text() -> None:
    name = "a|b <img> @dana\n::error::"
    text = templates.render_drift(window(27, row(name), findings=(FOUND.model_copy(update={"subject": name}),)))
    assert "<img>" not in text
    assert "@dana" not in text
    assert "\n::error" not in text


def test_many_columns_fit_in_a_comment() -> None:
    columns = [row(f"column {'x' * 100} {index}", 0.2) for index in range(2000)]
    text = templates.render_drift(window(27, *columns), [window(20, *columns)])
    assert len(text) < 65_000
    assert "1,970 more columns" in text
