"""The stages, one after the other, on a small copy of the churn and fraud models in a folder of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from ci.core.drift.profiles import parse_profile
from ci.core.records import Evaluation, Latency, Problem, Training
from ml import params
from ml.errors import StageError
from ml.files import md5, write_json
from ml.kinds import Job, tabular
from ml.models.churn import features
from ml.models.churn.simulate import simulate
from ml.profiles.profile import Profile
from ml.stages import evaluate, latency, oldrows, prepare, profile, rescore, train
from ml.stages.run import run

STAGES = {
    "prepare": prepare.body,
    "train": train.body,
    "evaluate": evaluate.body,
    "profile": profile.body,
    "latency": latency.body,
}


def stage(root: Path, name: str, model: str = "churn", mode: str = "smoke") -> int:
    """Run one stage."""
    return run(name, STAGES[name], Namespace(model=model, mode=mode), root=root)


def change(root: Path, model: str, section: str, **values: Any) -> None:
    path = root / "ml/models" / model / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content[section] |= values
    path.write_text(yaml.safe_dump(content))


def project(root: Path) -> Path:
    for model in ("churn", "fraud"):
        (root / "ml/models" / model).mkdir(parents=True)
        shutil.copy(Path("ml/models") / model / "params.yaml", root / "ml/models" / model)
        (root / "data" / model).mkdir(parents=True)
        write_json(root / "artifacts" / model / "validation.json", {"passed": True})
    shutil.copy("params.yaml", root)
    simulate(1_500).write_parquet(root / "data/churn/customers.parquet")
    change(root, "churn", "model", rounds=15)
    change(root, "churn", "modes", smoke={"rows": 600}, full={})
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages run; tests only read from it."""
    root = project(tmp_path_factory.mktemp("done"))
    assert [stage(root, name) for name in STAGES] == [0, 0, 0, 0, 0]
    return root / "artifacts/churn/smoke"


def problem(root: Path, model: str = "churn") -> Problem:
    return Problem.model_validate_json((root / "artifacts" / model / "problem.json").read_bytes())


def edit(root: Path, *columns: pl.Expr) -> None:
    path = root / "data/churn/customers.parquet"
    pl.read_parquet(path).with_columns(*columns).write_parquet(path)


def test_records_are_those_that_the_commands_read(done: Path) -> None:
    training = Training.model_validate_json((done / "training.json").read_bytes())
    evaluation = Evaluation.model_validate_json((done / "evaluation.json").read_bytes())
    measured = Latency.model_validate_json((done / "latency.json").read_bytes())
    assert training.model_hash == evaluation.model_hash == measured.model_hash == md5(done / "model.onnx")
    assert training.rows == evaluation.training_rows == 600
    assert evaluation.predictions_hash == md5(done / "predictions.parquet")
    assert [check.name for check in training.checks] == ["loss_falls", "onnx_agrees", "no_leakage", "reproducible"]
    assert [check.name for check in evaluation.checks] == ["beats_base_rate"]
    assert all(check.passed for check in training.checks + evaluation.checks)
    assert 0 < measured.p50_ms <= measured.p99_ms


def test_the_profile_is_of_what_the_model_takes_and_says(done: Path) -> None:
    found = Profile.read(done / "profile.json")
    rows, predictions = pl.read_parquet(done / "train.parquet"), pl.read_parquet(done / "predictions.parquet")
    assert (found.model, found.made_of, found.model_hash) == ("churn", "train", md5(done / "model.onnx"))
    assert found.rows == rows.height
    assert found.time is None
    assert set(found.columns) == {*features.FEATURES, *features.CATEGORICAL}
    assert {column.dtype for column in found.columns.values()} == {"Float32", "String"}
    assert found.columns["monthly_charges"].greatest == rows["monthly_charges"].cast(pl.Float32).max()
    assert found.columns["contract"].cells.names is not None
    assert found.score is not None
    assert found.score.rows == predictions.height
    assert found.joint is not None
    assert [cells.total for cells in found.joint] == [(predictions["label"] == label).sum() for label in (0, 1)]
    counts = dict(predictions["contract"].value_counts().iter_rows())
    assert {value: each.rows for value, each in found.slices["contract"].items()} == counts


def test_slices_may_be_of_any_column_and_are_in_the_order_of_the_rows(done: Path, root: Path) -> None:
    shutil.copytree(done, root / "artifacts/churn/smoke")
    change(root, "churn", "drift", slices=["tech_support", "customer_id"])
    assert stage(root, "profile") == 0
    found = Profile.read(root / "artifacts/churn/smoke/profile.json").slices
    test = pl.read_parquet(done / "test.parquet")
    assert len(found["customer_id"]) == 51
    assert {value: each.rows for value, each in found["tech_support"].items()} == dict(
        test["tech_support"].value_counts().iter_rows()
    )
    judged = test.join(pl.read_parquet(done / "predictions.parquet"), left_on="customer_id", right_on="row_id")
    for value, each in found["tech_support"].items():
        assert each.joint is not None
        of_value = judged.filter(pl.col("tech_support") == value)
        assert each.joint[1].total == of_value["label"].sum()


def test_rows_with_a_time_tell_their_seasons(done: Path, root: Path) -> None:
    folder = root / "artifacts/churn/smoke"
    shutil.copytree(done, folder)
    assert parse_profile(json.loads((done / "profile.json").read_text()), "profile.json").seasons is None
    for name in ("train.parquet", "test.parquet"):
        rows = pl.read_parquet(folder / name)
        at = datetime(2025, 1, 6, tzinfo=UTC) + pl.duration(hours=24 * 10 * pl.int_range(pl.len()) // pl.len() * 6)
        rows.with_columns(at=at).write_parquet(folder / name)
    change(root, "churn", "data", time="at")
    change(root, "churn", "drift", days=10)
    assert stage(root, "profile") == 0
    found = parse_profile(json.loads((folder / "profile.json").read_text()), "profile.json").seasons
    assert found is not None
    assert (found.days, found.starts[1]) == (10, "2025-01-16")
    train, tested = pl.read_parquet(folder / "train.parquet"), pl.read_parquet(folder / "predictions.parquet")
    assert sum(found.rows) <= train.height
    assert set(found.columns) == {*features.FEATURES, *features.CATEGORICAL}
    assert sum(map(sum, found.score.counts)) == sum(map(sum, found.label.counts)) == sum(found.rows)
    assert sum(found.score.whole) == tested.height
    assert found.joint is not None
    assert [sum(one.whole) for one in found.joint] == [(tested["label"] == label).sum() for label in (0, 1)]
    assert set(found.slices["contract"]) == set(tested["contract"].unique())
    change(root, "churn", "drift", days="week")
    assert stage(root, "profile") == 1
    assert "'drift.days' is 'week'; expected a whole number of days" in problem(root).message


@pytest.mark.parametrize(
    ("slices", "words"),
    [(["tarif"], "drift.slices names 'tarif', which is no column"), ("contract", "expected a list of columns")],
)
def test_slices_of_no_column_are_told(slices: Any, words: str, done: Path, root: Path) -> None:
    shutil.copytree(done, root / "artifacts/churn/smoke")
    change(root, "churn", "drift", slices=slices)
    assert stage(root, "profile") == 1
    told = problem(root)
    assert words in told.message
    assert told.line


def test_predictions_carry_what_gates_group_by(done: Path) -> None:
    predictions = pl.read_parquet(done / "predictions.parquet")
    assert predictions.schema == {
        "row_id": pl.Int64,
        "label": pl.Int8,
        "score": pl.Float64,
        "contract": pl.String,
        "gender": pl.String,
    }
    assert predictions["row_id"].is_sorted()
    assert predictions["row_id"].is_unique().all()
    assert set(json.loads((done / "metrics.json").read_text())) >= {"average_precision", "roc_auc", "log_loss"}


def test_a_second_run_leaves_the_same_bytes_in_another_folder(done: Path, root: Path) -> None:
    for name in ("prepare", "train", "evaluate", "profile"):
        assert stage(root, name) == 0
    other = root / "artifacts/churn/smoke"
    names = ["train.parquet", "test.parquet", "model.onnx", "training.json"]
    names += ["predictions.parquet", "evaluation.json", "metrics.json", "profile.json"]
    assert {name: md5(done / name) for name in names} == {name: md5(other / name) for name in names}


def test_latency_is_measured_once_for_a_model(root: Path) -> None:
    for name in STAGES:
        assert stage(root, name) == 0
    record = root / "artifacts/churn/smoke/latency.json"
    before = record.read_bytes()
    assert stage(root, "latency") == 0
    assert record.read_bytes() == before
    record.write_text('{"model_hash": "that of another model"}')
    assert stage(root, "latency") == 0
    assert Latency.model_validate_json(record.read_bytes()).runs > 0


def rescored(done: Path, *columns: pl.Expr, rows: int = 10_000) -> None:
    """Hold predictions that were changed to those that the model made."""
    made = pl.read_parquet(done / "predictions.parquet")
    kept = made.head(rows).with_columns(*columns)
    rescore.require_same(kept, made, Path("model.onnx"), Path("predictions.parquet"))


def test_the_model_still_gives_its_predictions(root: Path) -> None:
    for name in STAGES:
        assert stage(root, name) == 0
    arguments = Namespace(model="churn", mode="smoke")
    assert run("rescore", rescore.body, arguments, root=root) == 0
    path = root / "artifacts/churn/smoke/predictions.parquet"
    pl.read_parquet(path).with_columns(score=1 - pl.col("score")).write_parquet(path)
    assert run("rescore", rescore.body, arguments, root=root) == 3
    assert "model.onnx is not the model that predictions.parquet was made with" in problem(root).message


@pytest.mark.parametrize("column", [pl.col("score") + 5e-7, pl.col("score") * (1 - 5e-7)])
def test_what_another_processor_rounds_is_the_same_score(done: Path, column: pl.Expr) -> None:
    rescored(done, column)


def test_large_values_are_held_to_a_share_of_them(done: Path) -> None:
    made = pl.read_parquet(done / "predictions.parquet").with_columns(score=pl.col("score") + 1e6)
    kept = made.with_columns(pl.col("score") + 5)
    rescore.require_same(kept, made, Path("model.onnx"), Path("predictions.parquet"))


@pytest.mark.parametrize("score", [0.5, float("nan")])
def test_one_score_that_is_another_is_told(done: Path, score: float) -> None:
    first = pl.int_range(pl.len()) == 0
    with pytest.raises(StageError, match=r"1 of .* scores differ by up to"):
        rescored(done, pl.when(first).then(score).otherwise(pl.col("score")).alias("score"))


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ([(1 - pl.col("label")).cast(pl.Int8).alias("label")], 10_000),
        ([pl.col("row_id") + 1], 10_000),
        ([pl.lit("another").alias("gender")], 10_000),
        ([pl.col("score").cast(pl.String)], 10_000),
        ([], 20),
    ],
)
def test_predictions_of_other_rows_are_told(done: Path, columns: list[pl.Expr], rows: int) -> None:
    with pytest.raises(StageError, match=r"is not of the rows of test\.parquet"):
        rescored(done, *columns, rows=rows)


def test_the_same_rows_have_the_same_hash_whatever_their_features(done: Path) -> None:
    predictions = pl.read_parquet(done / "predictions.parquet")
    evaluation = Evaluation.model_validate_json((done / "evaluation.json").read_bytes())
    assert evaluate.hash_of_rows(predictions.with_columns(score=0.5)) == evaluation.rows_hash
    assert evaluate.hash_of_rows(predictions.with_columns(label=1 - pl.col("label"))) != evaluation.rows_hash
    assert evaluate.hash_of_rows(predictions.head(-1)) != evaluation.rows_hash


def test_a_training_record_of_another_model_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("prepare", "train"):
        assert stage(root, name) == 0
    record = root / "artifacts/churn/smoke/training.json"
    record.write_text(record.read_text().replace('"model_hash": "', '"model_hash": "0'))
    assert stage(root, "evaluate") == 1
    assert "training.json is not of the model beside it" in capsys.readouterr().err


def test_prepare_refuses_data_that_breaks_its_schema(root: Path) -> None:
    write_json(root / "artifacts/churn/validation.json", {"passed": False})
    assert stage(root, "prepare") == 3
    assert "says that the data breaks its schema" in problem(root).message
    assert not (root / "artifacts/churn/smoke/train.parquet").exists()


BAD_DATA = {
    "one class": (pl.lit(0, pl.Int8).alias("churn"), "'churn' of all 600 training rows is 0; expected both"),
    "NaN": (
        pl.when(pl.col("customer_id") == 9).then(float("nan")).otherwise("monthly_charges").alias("monthly_charges"),
        "column 'monthly_charges' is null, NaN or infinite after feature making in 1 of",
    ),
    "null category": (
        pl.when(pl.col("customer_id") > 1).then("internet"),
        "column 'internet' is null, NaN or infinite after feature making in 1 of",
    ),
}


@pytest.mark.parametrize(("column", "words"), BAD_DATA.values(), ids=BAD_DATA)
def test_data_that_cannot_be_used(root: Path, column: pl.Expr, words: str) -> None:
    change(root, "churn", "split", test_fraction=0.01)
    change(root, "churn", "modes", smoke={"rows": 600}, full={})
    edit(root, column)
    mode = "smoke" if "600" in words else "full"
    assert stage(root, "prepare", mode=mode) == 1
    assert words in problem(root).message
    assert "customers.parquet" in problem(root).message


def test_a_missing_column_is_named(root: Path) -> None:
    path = root / "data/churn/customers.parquet"
    pl.read_parquet(path).rename({"total_charges": "total_charge"}).write_parquet(path)
    assert stage(root, "prepare") == 1
    assert "no column 'total_charges', which features.py of churn reads; did you mean 'total_charge'?" in (
        problem(root).message
    )


def test_a_column_to_keep_that_is_none(root: Path) -> None:
    change(root, "churn", "data", keep=["contrakt"])
    assert stage(root, "prepare") == 1
    assert "features() returns no column 'contrakt'; did you mean 'contract'?" in problem(root).message


@pytest.mark.parametrize("keep", [0, 500])
def test_truncated_data(root: Path, keep: int) -> None:
    path = root / "data/churn/customers.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    assert stage(root, "prepare") == 1
    assert "is not a whole Parquet file" in problem(root).message


def test_missing_data(root: Path) -> None:
    (root / "data/churn/customers.parquet").unlink()
    assert stage(root, "prepare") == 1
    assert "is missing; get it with: dvc pull" in problem(root).message


def test_train_before_prepare(root: Path) -> None:
    assert stage(root, "train") == 1
    assert "train.parquet is missing" in problem(root).message


def test_evaluate_and_latency_before_train(root: Path) -> None:
    assert stage(root, "prepare") == 0
    for name in ("evaluate", "latency"):
        assert stage(root, name) == 1
        assert "model.onnx is missing; run the stage train first" in problem(root).message


def test_a_typo_in_hyperparameters_stops_training_with_its_line(root: Path) -> None:
    assert stage(root, "prepare") == 0
    change(root, "churn", "model", learning_rat=0.1)
    assert stage(root, "train") == 1
    assert "unknown key 'model.learning_rat'; did you mean 'learning_rate'?" in problem(root).message
    assert problem(root).line is not None


def test_too_few_rows_are_refused_with_their_line(root: Path) -> None:
    change(root, "churn", "modes", smoke={"rows": 5}, full={})
    assert stage(root, "prepare") == 1
    assert "'modes.smoke.rows' is 5; expected a number of at least 50" in problem(root).message
    assert problem(root).line is not None


def test_too_little_data_is_refused(root: Path) -> None:
    path = root / "data/churn/customers.parquet"
    pl.read_parquet(path).head(30).write_parquet(path)
    assert stage(root, "prepare") == 1
    assert "training rows are left after the split; expected at least 50; bring more data" in problem(root).message


def test_a_mistake_in_full_is_told_by_a_smoke_run(root: Path) -> None:
    assert stage(root, "prepare") == 0
    change(root, "churn", "modes", full={"rounds": -3})
    assert stage(root, "train") == 1
    assert "'modes.full.rounds' is -3; expected a number above 0" in problem(root).message


def test_scores_that_are_no_numbers_stop_the_evaluation(root: Path) -> None:
    ids, scores = pl.Series([4, 5, 6]), np.array([0.1, np.nan, np.inf])
    with pytest.raises(StageError, match="scores 2 of 3 rows as NaN or infinite, first the row with id 5"):
        evaluate.require_finite(scores, ids, root / "model.onnx")


def transactions(days: int) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    rows = days * 60
    seconds = np.sort(rng.integers(0, days * 86_400, rows))
    amounts = rng.gamma(2, 30, rows).round(2)
    start = datetime(2026, 1, 1)  # noqa: DTZ001  the data's times are naive
    return pl.DataFrame(
        {
            "TRANSACTION_ID": np.arange(rows, dtype=np.int32),
            "TX_DATETIME": pl.Series([start + timedelta(seconds=int(each)) for each in seconds]).cast(
                pl.Datetime("ns")
            ),
            "CUSTOMER_ID": rng.integers(0, 300, rows, dtype=np.int32),
            "TERMINAL_ID": rng.integers(0, 100, rows, dtype=np.int32),
            "TX_AMOUNT": amounts,
            "TX_FRAUD": ((amounts > 150) & (rng.random(rows) < 0.9)).astype(np.int8),
        }
    )


def test_fraud_from_rows_to_scores(root: Path) -> None:
    change(root, "fraud", "split", train_days=14, delay_days=3, test_days=7)
    change(root, "fraud", "modes", smoke={"rows": 800, "members": 1, "epochs": 6, "learning_rate": 0.01}, full={})
    transactions(30).write_parquet(root / "data/fraud/transactions.parquet")
    assert [stage(root, name, "fraud") for name in STAGES] == [0, 0, 0, 0, 0]
    folder = root / "artifacts/fraud/smoke"
    training = Training.model_validate_json((folder / "training.json").read_bytes())
    assert [check.name for check in training.checks] == [
        "loss_falls",
        "gradients_finite",
        "overfits_one_batch",
        "onnx_agrees",
        "no_leakage",
        "reproducible",
    ]
    failed = {check.name: check.detail for check in training.checks if not check.passed}
    assert set(failed) <= {"no_leakage"}, failed  # the amount nearly tells this toy's label
    evaluation = Evaluation.model_validate_json((folder / "evaluation.json").read_bytes())
    assert evaluation.checks[0].passed
    times = (
        pl.read_parquet(folder / "train.parquet")["TX_DATETIME"],
        pl.read_parquet(folder / "test.parquet")["TX_DATETIME"],
    )
    assert times[0].max() < times[1].min() - timedelta(days=3)  # type: ignore[operator]  # datetimes
    assert pl.read_parquet(folder / "predictions.parquet").columns[3:] == ["CUSTOMER_ID", "TX_DATETIME", "AMOUNT_BAND"]


def test_too_few_days_of_transactions(root: Path) -> None:
    transactions(10).write_parquet(root / "data/fraud/transactions.parquet")
    assert stage(root, "prepare", "fraud") == 1
    assert "spans 10 days, 2026-01-01 to 2026-01-10; the split needs 42" in problem(root, "fraud").message


def test_a_time_that_is_no_time(root: Path) -> None:
    frame = transactions(50).with_columns(pl.col("TX_DATETIME").cast(pl.String))
    frame.write_parquet(root / "data/fraud/transactions.parquet")
    assert stage(root, "prepare", "fraud") == 1
    assert "'TX_DATETIME' is String; a split by time needs" in problem(root, "fraud").message


def test_evaluation_needs_no_training_library() -> None:
    code = "import sys, ml.stages.evaluate, ml.kinds.tabular; print(sorted({'torch', 'skl2onnx'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("anew", [False, True])
def test_rows_that_another_version_was_judged_on_are_scored_once_and_by_whom_trained_is_told(
    done: Path, root: Path, anew: bool
) -> None:
    here = root / "artifacts/churn/smoke"
    shutil.copytree(done, here)
    own, learned = pl.read_parquet(done / "predictions.parquet"), pl.read_parquet(done / "train.parquet")
    ids = pl.concat([own["row_id"].head(40), learned["customer_id"].head(25)])
    out = root / "old"
    out.mkdir()
    pl.DataFrame({"row_id": ids}).write_parquet(out / "champion.parquet")
    write_json(out / "old.json", {"rows": 65})
    named = Namespace(model="churn", mode="smoke", out=out, raw=root / "data/churn", anew=anew)
    if not anew:  # what is known is taken as it is
        own = own.with_columns(score=0.5)
        own.write_parquet(here / "predictions.parquet")
    assert run("oldrows", oldrows.body, named, root=root) == 0
    assert json.loads((out / "old.json").read_text()) == {"rows": 65, "scored": 65 if anew else 25, "trained": 25}
    made = pl.read_parquet(out / "predictions.parquet")
    assert made["row_id"].to_list() == sorted(ids)
    shared = made.join(own, on="row_id")
    assert shared.height == 40
    assert np.allclose(shared["score"], shared["score_right"])
    pl.DataFrame({"row_id": [*ids, 10**9]}).write_parquet(out / "champion.parquet")
    assert run("oldrows", oldrows.body, named, root=root) == 1
    assert "rows to score; pull the data again" in problem(root).message


def test_features_of_old_rows_look_back_as_in_preparing(tmp_path: Path) -> None:
    shutil.copy("ml/models/fraud/params.yaml", tmp_path)
    job = Job("fraud", params.load(tmp_path / "params.yaml", "full"), 1)
    source, raw = tmp_path / "transactions.parquet", transactions(60)
    raw.write_parquet(source)
    wanted = pl.col("TX_DATETIME") >= pl.lit(datetime(2026, 2, 26))  # noqa: DTZ001  as above
    made = oldrows.made(job, source, raw.filter(wanted)["TRANSACTION_ID"])
    assert made.height == raw.filter(wanted).height > 0
    assert made.equals(tabular.made(job, raw, source).filter(wanted))
