"""What a window has shown, as Prometheus reads it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from ci.core.drift.exposition import METRICS, MOST_COLUMNS, PREFIX, exposition
from ci.core.drift.records import ColumnRow, Kind
from ci.core.drift.rules import Business
from tests.prometheus import require
from tests.unit.ci.core.drift.drifts import BOUNDS, END, MEASURED, drift, finding

if TYPE_CHECKING:
    from ci.core.drift.records import Drift

JUDGED = datetime(2026, 11, 27, 6, tzinfo=UTC)


def told(record: Drift, business: dict[str, float | None] | None = None) -> dict[tuple[str, frozenset[str]], float]:
    """Values by name and labels other than the model's, the same in both formats."""
    text = exposition(record, judged=JUDGED, business=business, bounds=BOUNDS if business else None)
    found: dict[tuple[str, frozenset[str]], float] = {}
    for parse in (parser.text_string_to_metric_families, openmetrics.text_string_to_metric_families):
        samples = [sample for family in parse(text) for sample in family.samples]
        assert all(sample.labels["model"] == record.model for sample in samples)
        assert all(sample.timestamp is None for sample in samples), "the textfile collector refuses times"
        values = {
            (one.name.removeprefix(PREFIX), frozenset(set(one.labels.values()) - {record.model})): one.value
            for one in samples
        }
        assert len(values) == len(samples)
        assert found in ({}, values)
        found = values
    return found


def test_a_record_is_told_in_both_formats() -> None:
    found = told(drift(), dict(MEASURED))
    assert {name for name, _ in found} == METRICS.keys()
    assert found["judged_timestamp_seconds", frozenset()] == JUDGED.timestamp()
    assert found["window_end_timestamp_seconds", frozenset()] == datetime.fromisoformat(END).timestamp()
    assert found["window_labelled_rows", frozenset()] == 900
    assert found["outcome", frozenset({"fail"})] == 1
    assert found["outcome", frozenset({"pass"})] == 0
    assert found["column_value", frozenset({"TX_AMOUNT", "jensen_shannon"})] == 0.25
    assert found["column_p_value", frozenset({"TX_AMOUNT"})] == 1e-9
    assert found["quality_difference_low", frozenset({"roc_auc", ""})] == -0.15
    assert found["estimate_realised", frozenset({"roc_auc"})] == 0.8
    assert found["business_value", frozenset({"orders"})] == 12.5
    assert found["business_max", frozenset({"orders"})] == 20


def test_every_kind_is_counted_so_that_an_alarm_is_seen_to_be_over() -> None:
    found = told(drift())
    for kind in get_args(Kind):
        assert found["alarms", frozenset({kind})] == (kind == "data")
        assert found["findings", frozenset({kind})] == (kind in {"data", "range"})
    quiet = told(drift(findings=(), triggers=(), outcome="pass"))
    assert not any(value for (name, _), value in quiet.items() if name in {"alarms", "findings"})


def test_what_is_not_known_has_no_series() -> None:
    bare = drift(columns=(ColumnRow(column="a", kind="number"),), quality=(), estimate=(), findings=())
    names = {name for name, _ in told(bare, {"orders": None})}
    assert not names & {"column_value", "column_p_value", "quality_value", "estimate_value", "business_value"}
    assert names >= {"column_missing_ratio", "business_min"}
    assert {name for name, _ in told(drift(), {"orders": float("nan")})} == METRICS.keys() - {"business_value"}
    text = exposition(drift(), judged=JUDGED, business={}, bounds={"orders": Business(column="orders", min=1)})
    assert "business_max" not in text


def test_one_thing_found_by_two_statistics_is_one_series() -> None:
    twice = (finding(statistic="psi", windows=3), finding(statistic="jensen_shannon", windows=2))
    assert told(drift(findings=twice))["finding_windows", frozenset({"data", "TX_AMOUNT"})] == 3


def test_names_of_any_kind_are_labels() -> None:
    name = 'a "quoted" \\ and\nbroken näme'
    columns = (ColumnRow(column=name, kind="category", missing=0.5),)
    assert told(drift(columns=columns))["column_missing_ratio", frozenset({name})] == 0.5


def test_of_very_many_columns_those_that_drifted_are_kept() -> None:
    def row(index: int, *, drifted: bool = False) -> ColumnRow:
        return ColumnRow(column=f"c{index}", kind="number", value=0.01, limit=0.1, drifted=drifted)

    columns = (*(row(index) for index in range(2 * MOST_COLUMNS)), row(9_999, drifted=True))
    found = [labels for name, labels in told(drift(columns=columns)) if name == "column_drifted"]
    assert len(found) == MOST_COLUMNS
    assert frozenset({"c9999"}) in found


def test_numbers_keep_all_their_digits() -> None:
    (row,) = drift().columns
    value = 0.1 + 0.2
    found = told(drift(columns=(row.model_copy(update={"value": value}),)))
    assert found["column_value", frozenset({"TX_AMOUNT", "jensen_shannon"})] == value


def test_promtool_finds_nothing_to_mend() -> None:
    require("promtool")
    text = exposition(drift(), judged=JUDGED, business=MEASURED, bounds=BOUNDS)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=False, capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
