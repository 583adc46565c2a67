"""Windows out of an inference log: which rows are in them, in which order they are read, and what is odd about them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml.errors import ENVIRONMENT, StageError
from ml.profiles.profile import Profile
from ml.windows import labels, log, window, workers
from ml.windows.labels import Labels
from ml.windows.part import PREDICTIONS, Part, table
from ml.windows.store import Store
from ml.windows.task import Task
from tests.unit.ml.windows.logs import END, HEADER, START, TASK, every, reference, write

Told = dict[str, Any]


def made(
    root: Path, *, task: Task = TASK, later: str | None = None, out: str = "out", count: int = 1, ray: str | None = None
) -> tuple[Told, Profile, Path]:
    """window.json, the profile and the folder of a window."""
    known = labels.read(later, binary=True) if later else None
    part = workers.read(task, str(root / "log"), known, workers=count, ray=ray)
    window.write(root / out, task, part, "log", known, log.ids(task, str(root / "log")))
    folder = root / out
    return json.loads((folder / "window.json").read_bytes()), Profile.read(folder / "profile.json"), folder


def label(root: Path, **columns: Any) -> str:
    path = root / "labels" / "week.parquet"
    path.parent.mkdir(exist_ok=True)
    pl.DataFrame(columns).write_parquet(path)
    return str(path.parent)


def test_the_rows_of_the_window_are_in_it_and_no_other_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    scan = Store.scan

    def counted(store: Store, path: str) -> pl.LazyFrame:
        opened.append(path)
        return scan(store, path)

    monkeypatch.setattr(Store, "scan", counted)
    write(tmp_path / "log", every(30, 800, START - timedelta(days=2)))
    told, profile, folder = made(tmp_path, task=replace(TASK, start=START + timedelta(minutes=10)))
    assert len(opened) == 7 * 24
    assert told["rows"] == told["scored"] == profile.rows == 7 * 48 - 1
    assert profile.time is not None
    assert profile.time.record()["first"] == "2026-11-20T00:30:00+00:00"
    assert profile.made_of == "window"
    assert profile.model_hash == "mine"
    assert profile.columns["amount"].dtype == TASK.reference.columns["amount"].dtype == "Float32"
    assert {value: each.rows for value, each in profile.slices["town"].items()}.keys() == {"Ulm", "Bern"}
    assert profile.label is None
    assert not (folder / "predictions.parquet").exists()
    assert told["damaged"] == []


def test_any_number_of_processes_leaves_the_same_bytes(tmp_path: Path) -> None:
    for server in range(3):
        write(tmp_path / "log", every(7, 1_000), name=f"server-{server}", first=1_000 * server, seed=server)
    later = label(tmp_path, id=[f"r{i}" for i in range(0, 3_000, 2)], label=[i % 2 for i in range(1_500)])
    folders = [made(tmp_path, later=later, out=f"out-{count}", count=count)[2] for count in (1, 2)]
    names = ("profile.json", "window.json", "predictions.parquet")
    assert [(folders[0] / name).read_bytes() for name in names] == [(folders[1] / name).read_bytes() for name in names]
    assert json.loads((folders[0] / "window.json").read_bytes())["labelled"] == 1_500


def test_a_ray_cluster_leaves_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed; pip install 'trunkline[cluster]'")
    write(tmp_path / "log", every(7, 1_000))
    later = label(tmp_path, id=[f"r{i}" for i in range(0, 1_000, 2)], label=[i % 2 for i in range(500)])
    folders = [made(tmp_path, later=later)[2], made(tmp_path, later=later, out="ray", ray="local")[2]]
    names = ("profile.json", "window.json", "predictions.parquet")
    assert [(folders[0] / name).read_bytes() for name in names] == [(folders[1] / name).read_bytes() for name in names]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999"])
def test_a_ray_cluster_that_is_nowhere_is_told_at_once(tmp_path: Path, address: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed; pip install 'trunkline[cluster]'")
    write(tmp_path / "log", every(60, 10))
    with pytest.raises(StageError, match=rf"no Ray cluster answers at {address}: .*; start one, or correct") as told:
        made(tmp_path, ray=address)
    assert told.value.exit_code == ENVIRONMENT


def test_large_files_are_read_some_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "log", every(0.5, 500))
    write(tmp_path / "log", every(0.5, 50), name="server-2")
    later = label(tmp_path, id=["r3", "r4"], label=[1, 0])
    whole = made(tmp_path, later=later)[2]
    monkeypatch.setattr(log, "ROWS", 17)
    parts = made(tmp_path, later=later, out="parts")[2]
    names = ("profile.json", "window.json", "predictions.parquet")
    assert [(whole / name).read_bytes() for name in names] == [(parts / name).read_bytes() for name in names]


def test_labels_join_by_id_and_the_latest_counts(tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 100))
    ids, values = ["r1", "r2", "r2", "r3", "nobody", "r1"], [1, 0, 1, None, 1, 0]
    times = [START + timedelta(days=day) for day in (5, 1, 2, 1, 1, 3)]
    told, profile, folder = made(tmp_path, later=label(tmp_path, id=ids, label=values, time=times))
    found = pl.read_parquet(folder / "predictions.parquet")
    assert found.columns == ["row_id", "label", "score", "town"]
    assert found.select("row_id", "label").rows() == [("r1", 1), ("r2", 1)]
    assert (told["labelled"], told["predictions"], told["labels"]) == (2, 2, {"read": 5, "unknown": 1})
    assert profile.label is not None
    assert profile.label.cells.total == 2
    assert profile.joint is not None
    assert [cells.total for cells in profile.joint] == [0, 2]


@pytest.mark.parametrize(("timed", "unknown"), [(True, 2), (False, 3)])
def test_labels_of_other_windows_are_of_no_unknown_id(tmp_path: Path, timed: bool, unknown: int) -> None:
    write(tmp_path / "log", every(60, 10))
    write(tmp_path / "log", every(60, 10, END - timedelta(hours=3)), first=100, name="after")
    write(tmp_path / "log", every(60, 10, START - timedelta(days=2)), first=200, name="before")
    write(tmp_path / "log", every(60, 10), first=300, header=replace(HEADER, model_hash="other"), name="other")
    named = {"r1": 6, "r105": 8, "r205": 1, "r305": 2, "ancient": -30, "nobody": 3, "somebody": 9}
    columns: Told = {"id": list(named), "label": [1] * len(named)}
    if timed:
        columns["time"] = [START + timedelta(days=day) for day in named.values()]
    task = replace(TASK, reach=timedelta(days=7), now=END + timedelta(days=9))
    told, _, _ = made(tmp_path, task=task, later=label(tmp_path, **columns))
    assert (told["labelled"], told["labels"]) == (1, {"read": 7, "unknown": unknown})


def test_without_times_the_last_label_in_the_order_of_files_counts(tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 10))
    folder = Path(label(tmp_path, id=["r1"], label=[0]))
    pl.DataFrame({"id": ["r1"], "label": [1]}).write_parquet(folder / "week2.parquet")
    _, _, out = made(tmp_path, later=str(folder))
    assert pl.read_parquet(out / "predictions.parquet")["label"].to_list() == [1]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"ids": ["r1"], "label": [1]}, "have no column 'id'; did you mean 'ids'"),
        ({"id": ["r1"], "label": [2]}, r"a label is 2 \(id r1\); expected 0 or 1"),
        ({"id": ["r1"], "label": ["yes"]}, r"a label is 'yes' \(id r1\); expected 0 or 1"),
    ],
)
def test_labels_that_are_none_are_told(columns: Told, words: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=words):
        labels.read(label(tmp_path, **columns), binary=True)


def test_no_labels_at_all_are_told(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there are no labels at"):
        labels.read(str(tmp_path / "nowhere"), binary=True)


def test_integers_that_pandas_made_floats_are_the_ids_that_they_were(tmp_path: Path) -> None:
    pl.DataFrame({"id": [7.0, None], "label": [1, 0]}).write_parquet(tmp_path / "labels.parquet")
    found = labels.read(str(tmp_path), binary=True)
    assert found.of(labels.keys_of(pl.Series(["7", "8"])))[0].tolist() == pytest.approx([1.0, math.nan], nan_ok=True)


def test_labels_whose_time_is_none_are_refused_in_one_sentence(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["r1"], "label": [1], "time": ["2026-11-21"]}).write_parquet(tmp_path / "labels.parquet")
    with pytest.raises(StageError, match=r"labels\.parquet: 'time' is String; expected times"):
        labels.read(str(tmp_path), binary=True)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("row", pl.lit("x"), "conversion from `str` to `i64` failed in column 'row'"),
        ("score", pl.lit("x"), "conversion from `str` to `f64` failed in column 'score'"),
        ("time", pl.lit("2026-11-21"), "its 'time' is String; expected times"),
        ("time", pl.col("time").dt.epoch("s"), "its 'time' is Int64; expected times"),
        ("features", pl.lit("x"), "its 'features' are String; expected a struct"),
        ("features", pl.struct(amount=pl.lit([1])), "its feature 'amount' is List(Int64)"),
    ],
)
def test_a_file_with_columns_of_another_type_is_told_and_the_others_count(
    tmp_path: Path, name: str, value: pl.Expr, reason: str
) -> None:
    one, *_ = write(tmp_path / "log", every(5, 200))
    pl.read_parquet(one, hive_partitioning=False).with_columns(value.alias(name)).write_parquet(one)
    told, profile, _ = made(tmp_path)
    assert profile.rows == 200 - 12
    (damaged,) = told["damaged"]
    assert damaged["reason"].startswith(reason)


def test_numbers_and_no_values_stand_for_ids_models_and_scores(tmp_path: Path) -> None:
    one, *_ = write(tmp_path / "log", every(5, 200))
    rows = pl.read_parquet(one, hive_partitioning=False)
    rows = rows.with_columns(
        pl.lit(None).alias("score"), pl.lit(7).alias("request_id"), pl.lit(None).alias("model_hash")
    )
    rows.write_parquet(one)
    told, profile, _ = made(tmp_path)
    assert (profile.rows, told["scored"], told["damaged"]) == (200, 200 - 12, [])


def test_a_file_that_was_cut_is_told_and_the_others_count(tmp_path: Path) -> None:
    cut, *_ = write(tmp_path / "log", every(5, 200))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    strange = cut.with_name("strange.parquet")
    pl.DataFrame({"x": [1]}).write_parquet(strange)
    told, profile, _ = made(tmp_path)
    assert profile.rows == 200 - 12
    assert [each["file"].rpartition("/")[2] for each in told["damaged"]] == ["server-1.parquet", "strange.parquet"]
    assert told["damaged"][1]["reason"] == "it has no column 'request_id'"
    assert told["files"] == 18


def test_rows_that_are_there_twice_are_told(tmp_path: Path) -> None:
    times = every(60, 100)
    write(tmp_path / "log", [*times, *times])
    path, *_ = write(tmp_path / "log", times[:1], name="server-2")
    told, profile, _ = made(tmp_path)
    assert (told["duplicated_ids"], told["overlapping_ids"]) == (0, 1)
    path.write_bytes(path.with_name("server-1.parquet").read_bytes())
    told, profile, _ = made(tmp_path)
    assert (told["duplicated_ids"], told["overlapping_ids"]) == (0, 2)
    assert profile.duplicates.repeats == 2
    rows = pl.read_parquet(path)
    pl.concat([rows, rows]).write_parquet(path)
    told, profile, _ = made(tmp_path)
    assert (told["duplicated_ids"], told["overlapping_ids"]) == (2, 2)


def test_another_model_answers_for_itself(tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 100))
    write(tmp_path / "log", every(60, 40), name="canary", header=replace(HEADER, model_hash="other", track="canary"))
    told, profile, _ = made(tmp_path)
    assert (told["rows"], told["scored"], told["other_models"]) == (140, 100, {"other": 40})
    assert profile.columns["amount"].rows == 140
    assert profile.score is not None
    assert profile.score.rows == 100
    assert (told["duplicated_ids"], told["overlapping_ids"], profile.duplicates.repeats) == (0, 0, 0)


@pytest.mark.parametrize("how", ["hash", "drop"])
def test_what_the_log_hides_is_no_change_of_the_schema(how: str, tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 100), header=replace(HEADER, sensitive={"amount": how}))
    _, profile, _ = made(tmp_path)
    assert profile.hidden == {"amount"}
    assert set(profile.columns) == {"town"}


def test_a_log_that_hides_all_features_still_has_scores(tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 100), header=replace(HEADER, sensitive={"amount": "drop", "town": "drop"}))
    told, profile, _ = made(tmp_path)
    assert profile.hidden == {"amount", "town"}
    assert (profile.rows, told["scored"]) == (100, 100)


def test_a_renamed_column_is_lacking_and_its_new_name_is_told(tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 100), header=replace(HEADER, columns={"amount_eur": "FP32", "town": "BYTES"}))
    _, profile, _ = made(tmp_path)
    assert profile.extra == {"amount_eur"}
    assert not profile.hidden
    assert set(profile.columns) == {"town"}


def test_a_changed_type_is_told_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 100), header=replace(HEADER, columns={"amount": "BYTES", "town": "BYTES"}))
    _, profile, _ = made(tmp_path)
    assert (profile.columns["amount"].kind, profile.columns["amount"].dtype) == ("number", "String")
    assert profile.columns["amount"].missing == 100


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_window_and_one_of_a_single_row(rows: int, tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 1, START - timedelta(days=30)))
    write(tmp_path / "log", every(60, rows))
    told, profile, _ = made(tmp_path)
    assert told["rows"] == profile.rows == rows
    assert set(profile.columns) == {"amount", "town"}
    assert {column.dtype for column in profile.columns.values()} == {"Float32", "String"}


def test_no_log_of_the_model_is_told(tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 1), header=replace(HEADER, model="other"))
    with pytest.raises(StageError, match=r"no inference log of shop at .*: no folder there is called model=shop"):
        made(tmp_path)


def test_a_store_that_cannot_be_reached_is_told_without_its_password() -> None:
    with pytest.raises(StageError, match=r"http://127.0.0.1:1/log does not answer") as caught:
        log.files("http://me:secret@127.0.0.1:1/log?key=secret", TASK)
    assert caught.value.exit_code == ENVIRONMENT
    assert "secret" not in caught.value.message


def test_a_log_in_a_store_is_read_like_a_folder(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    write(tmp_path / "log", every(60, 100))
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "log"), "/window-test", recursive=True)
    here, there = (
        log.read(TASK, url, log.files(url, TASK), None) for url in (f"{tmp_path}/log", "memory://window-test")
    )
    assert there.profile.to_json() == here.profile.to_json()
    assert there.profile.rows == 100


def test_the_rows_kept_do_not_depend_on_the_parts() -> None:
    """More labelled rows than are kept: those with the least hashes."""
    rows = PREDICTIONS + 5_000
    rows_of = pl.DataFrame({"row_id": range(rows), "label": [1] * rows, "score": [0.5] * rows})
    keys = labels.keys_of(rows_of["row_id"])
    whole = Part(Profile("m", "window")).with_labelled(rows_of, keys)
    half = Part(Profile("m", "window")).with_labelled(rows_of[: rows // 2], keys[: rows // 2])
    parts = half.with_labelled(rows_of[rows // 2 :], keys[rows // 2 :])
    found = table(parts)
    assert found is not None
    assert found.height == PREDICTIONS
    expected = table(whole)
    assert expected is not None
    assert found.equals(expected)
    assert whole.labelled == parts.labelled == rows


def test_labels_of_no_row_are_none() -> None:
    found, used = Labels(labels.keys_of(pl.Series(["a"])), np.ones(1), 1).of(
        labels.keys_of(pl.Series([], dtype=pl.String))
    )
    assert (found.size, used.tolist()) == (0, [False])


def test_a_reference_without_a_hash_is_of_no_row(tmp_path: Path) -> None:
    write(tmp_path / "log", every(60, 10))
    told, _, _ = made(tmp_path, task=replace(TASK, reference=reference("older"), end=END))
    assert (told["rows"], told["scored"], told["other_models"]) == (10, 0, {"mine": 10})
