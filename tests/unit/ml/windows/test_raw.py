"""Windows out of raw rows: features made by the model's own code, scored by its ONNX file; and the command."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
import yaml
from onnx import TensorProto, helper

from ml.errors import ENVIRONMENT, StageError
from ml.files import md5
from ml.kinds import onnx_scoring
from ml.models.churn import features as churn
from ml.models.churn.simulate import simulate
from ml.models.fraud import features as fraud
from ml.profiles.profile import Profile
from ml.stages import window
from ml.stages.run import Place
from tests.unit.ml.stages.test_stages import transactions

START, END = "2026-11-20", "2026-11-27"


def model(path: Path, numbers: tuple[str, ...], texts: tuple[str, ...]) -> Path:
    """An ONNX model whose score is a hundredth of the first number."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in numbers]
    inputs += [helper.make_tensor_value_info(name, TensorProto.STRING, ["n", 1]) for name in texts]
    nodes = [
        helper.make_node("Constant", [], ["w"], value_float=0.01),
        helper.make_node("Mul", [numbers[0], "w"], ["score"]),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, "g", inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("churn", "fraud"):
        (tmp_path / "ml/models" / name).mkdir(parents=True)
        shutil.copy(Path("ml/models") / name / "params.yaml", tmp_path / "ml/models" / name)
    shutil.copy("params.yaml", tmp_path)
    rows = simulate(600)
    (tmp_path / "rows").mkdir()
    rows[:300].write_parquet(tmp_path / "rows/1.parquet")
    rows[300:].write_parquet(tmp_path / "rows/2.parquet")
    made = model(
        tmp_path / "model.onnx",
        ("monthly_charges", *(f for f in churn.FEATURES if f != "monthly_charges")),
        churn.CATEGORICAL,
    )
    reference(tmp_path, "churn", made, churn.features(rows))
    return tmp_path


def reference(root: Path, name: str, made: Path, rows: pl.DataFrame) -> None:
    taken = onnx_scoring.Scorer.of(made).taken(rows)
    replace(Profile(name, "train").with_rows(taken, taken.columns), model_hash=md5(made)).write(root / "profile.json")


def run(root: Path, name: str = "churn", **changed: Any) -> tuple[dict[str, Any], Profile]:
    asked: dict[str, Any] = {
        "model": name,
        "reference": root / "profile.json",
        "out": root / "out",
        "start": window.moment(START),
        "end": window.moment(END),
        "log": None,
        "rows": str(root / "rows"),
        "onnx": root / "model.onnx",
        "labels": None,
        "workers": 1,
        "ray": None,
    }
    window.body(Namespace(**{**asked, **changed}), Place(name, root))
    return json.loads((root / "out/window.json").read_bytes()), Profile.read(root / "out/profile.json")


def test_rows_without_times_are_all_in_the_window(root: Path) -> None:
    told, profile = run(root)
    rows = churn.features(simulate(600))
    assert (told["rows"], told["labelled"], told["files"], told["source"]) == (600, 600, 2, str(root / "rows"))
    assert profile.columns["price_rise"].rows == 600
    assert {column.unseen + column.out_of_range for column in profile.columns.values()} == {0}
    found = pl.read_parquet(root / "out/predictions.parquet")
    assert found.columns == ["row_id", "label", "score", "contract", "gender"]
    expected = rows.sort("customer_id").select("customer_id", "churn").rows()
    assert found.select("row_id", "label").rows() == expected
    scores = rows.sort("customer_id")["monthly_charges"].cast(pl.Float32) * np.float32(0.01)
    assert np.allclose(found["score"], scores)


def test_labels_that_came_later_win(root: Path) -> None:
    first = simulate(600)["customer_id"][0]
    pl.DataFrame({"id": [first, -5], "label": [1 - simulate(600)["churn"][0], 1]}).write_parquet(root / "late.parquet")
    told, _ = run(root, labels=str(root / "late.parquet"))
    assert told["labels"] == {"read": 2, "unknown": 1}
    found = pl.read_parquet(root / "out/predictions.parquet")
    assert found.filter(pl.col("row_id") == first)["label"].item() == 1 - simulate(600)["churn"][0]


def test_files_that_overlap_count_once(root: Path) -> None:
    simulate(600)[250:350].write_parquet(root / "rows/3.parquet")
    told, _ = run(root)
    assert (told["rows"], told["overlapping_ids"], told["duplicated_ids"]) == (600, 100, 0)


def test_a_cut_file_is_told(root: Path) -> None:
    path = root / "rows/2.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    told, _ = run(root)
    assert told["rows"] == 300
    assert [each["file"] for each in told["damaged"]] == ["2.parquet"]


def test_a_row_that_lacks_a_value_has_no_score(root: Path) -> None:
    path = root / "rows/2.parquet"
    lacking = pl.int_range(pl.len()) < 7
    pl.read_parquet(path).with_columns(
        pl.when(~lacking).then("contract"),
        pl.when(lacking).then(pl.lit(float("inf"))).otherwise("monthly_charges").alias("monthly_charges"),
    ).write_parquet(path)
    _, profile = run(root)
    assert profile.score is not None
    assert (profile.score.missing, profile.columns["contract"].missing) == (7, 7)
    assert profile.columns["monthly_charges"].infinite == 7


def test_a_renamed_column_is_told(root: Path) -> None:
    for path in (root / "rows").iterdir():
        pl.read_parquet(path).rename({"tenure_months": "tenure_month"}).write_parquet(path)
    with pytest.raises(
        StageError, match=r"has no column 'tenure_months', which features.py of churn reads; did you mean"
    ):
        run(root)


def test_a_changed_type_is_told(root: Path) -> None:
    for path in (root / "rows").iterdir():
        pl.read_parquet(path).with_columns(pl.lit("many").alias("monthly_charges")).write_parquet(path)
    with pytest.raises(StageError, match="features of churn cannot be made of these rows"):
        run(root)


def test_rows_by_time_look_back_and_are_of_any_zone(root: Path) -> None:
    rows = transactions(60)
    last = rows["TX_DATETIME"].max()
    assert isinstance(last, datetime)
    (root / "rows/1.parquet").unlink()
    (root / "rows/2.parquet").unlink()
    made = model(root / "model.onnx", tuple(fraud.FEATURES), ())
    reference(root, "fraud", made, fraud.features(rows))
    end = last.replace(tzinfo=UTC, hour=0, minute=0, second=0)
    asked: dict[str, Any] = {"start": end - timedelta(days=7), "end": end}
    rows.write_parquet(root / "rows/all.parquet")
    told, profile = run(root, "fraud", **asked)
    written = (root / "out/profile.json").read_bytes()
    inside = fraud.features(rows).filter(
        pl.col("TX_DATETIME").is_between(asked["start"].replace(tzinfo=None), end.replace(tzinfo=None), closed="left")
    )
    assert told["rows"] == inside.height > 0
    taken = onnx_scoring.Scorer.of(made).taken(inside)
    alone = Profile("fraud", "window").with_rows(taken, taken.columns)
    assert {name: column.cells.record() for name, column in profile.columns.items()} == {
        name: column.cells.record() for name, column in alone.columns.items()
    }
    assert set(profile.slices["AMOUNT_BAND"]) == {"…"}
    zoned = rows.with_columns(pl.col("TX_DATETIME").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"))
    zoned.write_parquet(root / "rows/all.parquet")
    run(root, "fraud", **asked)
    assert (root / "out/profile.json").read_bytes() == written


def test_cards_that_were_known_are_no_rows_to_judge_by_as_in_the_split(root: Path) -> None:
    rows = transactions(60).with_columns(TX_FRAUD=pl.lit(0, pl.Int8))
    days = (pl.col("TX_DATETIME") - datetime(2026, 1, 1)).dt.total_days()  # noqa: DTZ001  as the data's
    early, late, told = (rows.filter(days == day)["CUSTOMER_ID"][0] for day in (30, 49, 31))
    bad = ((days == 30) & (pl.col("CUSTOMER_ID") == early)) | ((days == 49) & (pl.col("CUSTOMER_ID") == late))
    rows = rows.with_columns(TX_FRAUD=bad.cast(pl.Int8))
    shutil.rmtree(root / "rows")
    (root / "rows").mkdir()
    rows.write_parquet(root / "rows/all.parquet")
    reference(root, "fraud", model(root / "model.onnx", tuple(fraud.FEATURES), ()), fraud.features(rows))
    span = {"start": datetime(2026, 2, 20, tzinfo=UTC), "end": datetime(2026, 2, 27, tzinfo=UTC)}  # days 50 to 56

    def seen(**more: Any) -> tuple[set[int], int, int]:
        found, profile = run(root, "fraud", **span, **more)
        assert profile.rows == found["rows"] == rows.filter(days.is_between(50, 56)).height  # features are of all rows
        made = pl.read_parquet(root / "out/predictions.parquet")
        assert made.height == found["labelled"] == found["scored"]
        return set(made["CUSTOMER_ID"]), made.height, found["rows"]

    cards, judged, whole = seen()
    theirs = rows.filter(days.is_between(50, 56) & (pl.col("CUSTOMER_ID") == early)).height
    assert early not in cards
    assert late in cards  # its fraud is known a week after it happened, with the window's last rows at the earliest
    assert theirs > 0
    assert judged == whole - theirs
    first = rows.filter((days == 31) & (pl.col("CUSTOMER_ID") == told))["TRANSACTION_ID"][0]
    pl.DataFrame({"id": [first], "label": [1]}).write_parquet(root / "late.parquet")
    assert told not in seen(labels=str(root / "late.parquet"))[0]
    assert told in cards


def test_rows_from_the_future_are_counted(root: Path) -> None:
    rows = transactions(20).with_columns(pl.col("TX_DATETIME") + timedelta(days=36_500))
    made = model(root / "model.onnx", tuple(fraud.FEATURES), ())
    reference(root, "fraud", made, fraud.features(rows))
    shutil.rmtree(root / "rows")
    (root / "rows").mkdir()
    rows.write_parquet(root / "rows/all.parquet")
    told, profile = run(root, "fraud")
    assert told["rows"] == 0
    assert profile.time is not None
    assert profile.time.future == rows.height


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rows": None}, "from --log URL or from --rows URL; give one of the two"),
        ({"onnx": None}, "give it with --onnx MODEL"),
        ({"end": window.moment(START)}, "is not before --end"),
        ({"rows": "nowhere"}, "there are no rows at nowhere"),
        ({"onnx": Path("nowhere.onnx")}, r"nowhere.onnx is missing"),
        ({"reference": Path("nowhere.json")}, r"nowhere.json is missing"),
    ],
)
def test_what_cannot_be_read_is_told(changed: dict[str, Any], words: str, root: Path) -> None:
    with pytest.raises(StageError, match=words):
        run(root, **changed)


def test_a_reference_of_another_model_or_version_is_refused(root: Path) -> None:
    other = model(root / "other.onnx", ("monthly_charges", "senior"), ())
    with pytest.raises(StageError, match=r"is not the model that the reference is of"):
        run(root, onnx=other)
    record = json.loads((root / "profile.json").read_bytes())
    (root / "profile.json").write_text(json.dumps(record | {"model": "fraud"}))
    with pytest.raises(StageError, match=r"is a profile of fraud, not of churn"):
        run(root)
    (root / "profile.json").write_text(json.dumps(record | {"schema_version": 9}))
    with pytest.raises(StageError, match=r"schema_version 9; expected 1"):
        run(root)


def test_ray_that_is_not_installed_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    (root / "log/model=churn/date=2026-11-20/hour=00").mkdir(parents=True)
    with pytest.raises(StageError, match=r"pip install 'trunkline\[cluster\]'") as caught:
        run(root, log=str(root / "log"), rows=None, ray="local")
    assert caught.value.exit_code == ENVIRONMENT


def test_the_command_tells_in_one_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "window",
        "churn",
        "--reference",
        "none.json",
        "--out",
        "o",
        "--start",
        START,
        "--end",
        END,
        "--log",
        "l",
    ]
    monkeypatch.setattr("sys.argv", arguments)
    monkeypatch.chdir(root)
    assert window.main() == 1
    assert capfd.readouterr().err == "window churn: none.json is missing; run the stage that writes it: dvc repro\n"


def test_params_name_slices_of_both_models() -> None:
    for name in ("churn", "fraud"):
        assert yaml.safe_load((Path("ml/models") / name / "params.yaml").read_text())["drift"]["slices"]
