"""The simulator keeps the published form and the described behaviour, repeats itself, and refuses bad arguments."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml.models.fraud.features import FEATURES, features
from ml.models.fraud.simulate import main
from ml.models.fraud.simulation.population import RADIUS, populate
from ml.models.fraud.simulation.shifts import KINDS, Shift
from ml.models.fraud.simulation.table import SCHEMA, Plan, blocks

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ["--customers", "60", "--terminals", "600", "--days", "12"]
FROM = 20  # the day on which a shift starts


def simulated(plan: Plan) -> pl.DataFrame:
    return pl.concat(blocks(plan))


@pytest.fixture(scope="module")
def default() -> pl.DataFrame:
    return simulated(Plan())


def test_the_default_is_in_the_published_form(default: pl.DataFrame) -> None:
    assert dict(default.schema) == SCHEMA
    assert default["TRANSACTION_ID"].to_list() == list(range(len(default)))
    assert default["TX_DATETIME"].is_sorted()
    assert default.null_count().sum_horizontal().item() == 0
    seconds = (default["TX_DATETIME"] - pl.Series([Plan().start]).cast(pl.Datetime("ns"))[0]).dt.total_seconds()
    assert (seconds == default["TX_TIME_SECONDS"]).all()
    assert (default["TX_TIME_SECONDS"] // 86_400 == default["TX_TIME_DAYS"]).all()
    assert default["TX_TIME_DAYS"].n_unique() == Plan().days
    assert ((default["TX_AMOUNT"] * 100 - (default["TX_AMOUNT"] * 100).round()).abs() < 1e-6).all()


def test_the_default_is_as_large_and_as_fraudulent_as_a_check_needs(default: pl.DataFrame) -> None:
    assert 200_000 < len(default) < 300_000
    weeks = default.group_by(pl.col("TX_TIME_DAYS") // 7).agg(pl.col("TX_FRAUD").sum())
    assert weeks["TX_FRAUD"].to_numpy().min() > 160
    assert 0.007 < default["TX_FRAUD"].to_numpy().mean() < 0.011


def test_amounts_hours_and_counts_follow_the_description(default: pl.DataFrame) -> None:
    plan = Plan()
    people = populate(plan.customers, plan.terminals, plan.seed)
    of_day = default["TX_TIME_SECONDS"] % 86_400
    assert of_day.mean() == pytest.approx(43_200, abs=300)
    # a normal of 20,000 s cut at 2.16 standard deviations has 0.928 of its spread
    assert of_day.std() == pytest.approx(0.928 * 20_000, rel=0.02)
    genuine = default.filter(pl.col("TX_FRAUD") == 0)
    assert genuine["TX_AMOUNT"].to_numpy().max() <= 220
    busy = genuine.group_by("CUSTOMER_ID").agg(pl.len(), pl.col("TX_AMOUNT").mean()).filter(pl.col("len") > 150)
    # amounts below 0 are drawn again between 0 and twice the mean, which lifts the mean of a normal by 3.1 %
    ratio = (busy["TX_AMOUNT"] / people.mean_amount[busy["CUSTOMER_ID"].to_numpy()]).mean()
    assert ratio == pytest.approx(1.031, abs=0.01)
    assert len(default) / plan.days == pytest.approx(people.mean_transactions.sum() * 0.969, rel=0.01)


def test_fraud_comes_in_the_three_scenarios(default: pl.DataFrame) -> None:
    by = {key[0]: part for key, part in default.group_by("TX_FRAUD_SCENARIO")}
    assert set(by) == {0, 1, 2, 3}
    assert (by[1]["TX_AMOUNT"] > 220).all()
    assert (default["TX_FRAUD"] == (default["TX_FRAUD_SCENARIO"] > 0)).all()
    # scenario 2: while a terminal is compromised, all that happens there is fraud
    stay = (
        by[2]
        .group_by("TERMINAL_ID")
        .agg(pl.col("TX_TIME_DAYS").min().alias("first"), pl.col("TX_TIME_DAYS").max().alias("last"))
    )
    inside = default.join(stay, on="TERMINAL_ID").filter(pl.col("TX_TIME_DAYS").is_between("first", "last"))
    once = inside.filter(pl.col("last") - pl.col("first") < 28)
    assert once["TX_FRAUD"].mean() == 1.0
    # scenario 3: five times the amount, on a third of the customer's transactions
    mean = default.filter(pl.col("TX_FRAUD") == 0).group_by("CUSTOMER_ID").agg(usual=pl.col("TX_AMOUNT").mean())
    times = by[3].join(mean, on="CUSTOMER_ID").select(pl.col("TX_AMOUNT") / pl.col("usual")).to_series()
    assert float(np.median(times)) == pytest.approx(5, abs=0.5)
    days = by[3].group_by("CUSTOMER_ID").agg(pl.len(), pl.col("TX_TIME_DAYS").min(), last=pl.col("TX_TIME_DAYS").max())
    around = default.join(days, on="CUSTOMER_ID").filter(
        pl.col("TX_TIME_DAYS").is_between("TX_TIME_DAYS_right", "last")
    )
    assert (around["TX_FRAUD_SCENARIO"] == 3).mean() == pytest.approx(1 / 3, abs=0.1)


def test_customers_stay_within_reach() -> None:
    people = populate(300, 700, seed=3)
    draw = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(0, 28)))
    homes = draw.uniform(0, 100, (300, 2))
    draw.uniform(size=600)
    places = draw.uniform(0, 100, (700, 2))
    near = np.hypot(*(homes[:, None] - places[None]).transpose(2, 0, 1)) < RADIUS
    for customer in range(300):
        reach = people.reach[people.first[customer] :][: people.count[customer]]
        assert sorted(reach) == list(np.flatnonzero(near[customer]))
    assert (people.mean_transactions[~near.any(axis=1)] == 0).all()


def test_days_do_not_depend_on_how_many_there_are() -> None:
    short, long = Plan(100, 400, 3), Plan(100, 400, 30)
    assert_frame_equal(simulated(short), pl.concat(islice(blocks(long), 3)))


def test_the_same_arguments_make_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    made = [run_apart([*SMALL, "--out", f"{n}.parquet"], tmp_path, POLARS_MAX_THREADS=str(n)) for n in (1, 2)]
    assert [each.returncode for each in made] == [0, 0]
    first, second = ((tmp_path / f"{n}.parquet").read_bytes() for n in (1, 2))
    assert first == second
    assert main([*SMALL, "--out", str(tmp_path / "3.parquet"), "--seed", "5"]) == 0
    assert (tmp_path / "3.parquet").read_bytes() != first


def run_apart(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in `folder`."""
    root = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-m", "ml.models.fraud.simulate", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": root} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def peak(days: int, folder: Path) -> tuple[int, int]:
    """Megabytes a process held at most while it wrote so many days, and those of the table."""
    measure = (
        "import resource, sys; from ml.models.fraud.simulate import main; main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    path = folder / f"{days}.parquet"
    arguments = ["--customers", "2000", "--terminals", "2000", "--days", str(days), "--out", str(path)]
    command = [sys.executable, "-c", measure, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    return int(done.stdout), rows * 43 // 2**20  # bytes of a row in SCHEMA


def test_memory_does_not_grow_with_the_days(tmp_path: Path) -> None:
    (before, small), (after, large) = peak(100, tmp_path), peak(500, tmp_path)
    assert large - small > 60
    assert after - before < (large - small) / 2


@pytest.fixture(scope="module")
def unshifted() -> pl.DataFrame:
    return simulated(Plan(500, 1000, 60))


@pytest.mark.parametrize("kind", KINDS)
def test_a_shift_leaves_the_days_before_it_alone_and_changes_what_it_says(kind: str, unshifted: pl.DataFrame) -> None:
    plan = Plan(500, 1000, 60, shifts=(Shift(kind, FROM, KINDS[kind].strength),))
    made = simulated(plan)
    before = pl.col("TX_TIME_DAYS") < FROM
    assert_frame_equal(made.filter(before).select(*SCHEMA), unshifted.filter(before))
    old, new = unshifted.filter(~before), made.filter(~before)
    assert made["TX_DATETIME"].is_sorted()
    if kind in {"amounts_inflate", "column_unit"}:
        assert new["TX_AMOUNT"].to_list() == pytest.approx(
            (old["TX_AMOUNT"] * KINDS[kind].strength).to_list(), abs=0.006
        )
        assert_frame_equal(new.drop("TX_AMOUNT"), old.drop("TX_AMOUNT"))
    elif kind == "column_missing":
        assert new["TERMINAL_ID"].is_null().all()
        assert_frame_equal(new.drop("TERMINAL_ID"), old.drop("TERMINAL_ID"))
    elif kind == "new_payment_method":
        assert made.columns == [*SCHEMA, "PAYMENT_METHOD"]
        assert made.filter(before)["PAYMENT_METHOD"].is_null().all()
        share = new.group_by("TX_TIME_DAYS").agg((pl.col("PAYMENT_METHOD") == "wallet").mean()).sort("TX_TIME_DAYS")
        assert share["PAYMENT_METHOD"][0] < 0.05
        assert share["PAYMENT_METHOD"][-10:].mean() == pytest.approx(0.3, abs=0.02)
        assert new.filter(pl.col("PAYMENT_METHOD") == "wallet")["TX_FRAUD"].sum() == 0
    else:
        tests = new.filter(pl.col("TX_FRAUD_SCENARIO") == 4)
        assert len(tests) == len(new) - len(old) > 50
        assert tests["TX_AMOUNT"].to_numpy().max() <= 10
        assert tests["TX_DATETIME"].dt.hour().to_numpy().max() < 6
    if kind != "column_missing":  # which the schema refuses before features are made
        assert features(made).select(FEATURES).null_count().sum_horizontal().item() == 0


def test_shifts_add_up_and_are_given_on_the_command_line(tmp_path: Path) -> None:
    start, path = date(2018, 4, 1), tmp_path / "shifted.parquet"
    shifts = ["--shift", "amounts_inflate", "--shift", "new_payment_method", "--shift", "column_unit"]
    days = [str(start + timedelta(days=day)) for day in (2, 4, 6)]
    dates = [word for day in days for word in ("--shift-from", day)]
    strengths = ["--shift-strength", "2", "--shift-strength", "1", "--shift-strength", "10"]
    assert main([*SMALL, *shifts, *dates, *strengths, "--out", str(path)]) == 0
    plan = Plan(60, 600, 12)
    made, plain = pl.read_parquet(path), simulated(plan)
    sums = [
        frame.group_by("TX_TIME_DAYS").agg(pl.col("TX_AMOUNT").sum()).sort("TX_TIME_DAYS") for frame in (made, plain)
    ]
    ratio = sums[0]["TX_AMOUNT"] / sums[1]["TX_AMOUNT"]
    assert ratio[:2].to_list() == pytest.approx([1, 1])
    assert ratio[2:4].to_list() == pytest.approx([2, 2])
    assert ratio[4:6].is_between(1.8, 2).all()  # few have a wallet yet
    assert ratio[6:].is_between(10, 20).all()
    assert made.filter(pl.col("TX_TIME_DAYS") >= 4)["PAYMENT_METHOD"].null_count() == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--customers", "0"], "--customers is 0, expected a number from 1 to"),
        (["--days", "many"], "argument --days: invalid int value: 'many'"),
        (["--start", "2018-02-30"], "'2018-02-30' is not a date like 2018-04-01"),
        (["--start", "1492-10-12"], "--start is 1492-10-12, expected a day from 1970-01-01"),
        (["--sed", "3"], "unrecognized arguments: --sed 3"),
        (["--shift", "colum_unit"], "did you mean 'column_unit'?"),
        (["--shift", "column_unit"], "0 --shift-from for 1 --shift"),
        (["--shift-from", "2018-04-02"], "1 --shift-from for 0 --shift"),
        (["--shift", "column_unit"] * 2 + ["--shift-from", "2018-04-02"], "column_unit is given more than once"),
        (["--shift", "column_unit", "--shift-from", "2030-01-01"], "is after the last day 2018-04-12"),
        (
            ["--shift", "column_missing", "--shift-from", "2018-04-02", "--shift-strength", "2"],
            "--shift-strength of column_missing is 2, expected a number above 0 and up to 1",
        ),
        (["--shift", "column_unit", "--shift-from", "2018-04-02", "--shift-strength", "nan"], "column_unit is nan"),
        (["--customers", "1", "--terminals", "1"], "no customer has a terminal within 5"),
        (["--customers", "100000", "--terminals", "10000000"], "pairs in reach, more than"),
        (["--customers", "300000", "--terminals", "900", "--days", "5000"], "take fewer --customers or --days"),
    ],
)
def test_bad_arguments_are_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.parquet"
    path.write_text("as it was")
    assert main([*SMALL, *arguments, "--out", str(path)]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    path.write_text("as it was")

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # a disk with 50 kB left, for the process below
    try:
        done = run_apart(["--out", str(path), "--days", "20"], tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.returncode == 2
    assert re.fullmatch(r"simulate fraud: \S+data\.parquet: File too large.*; free disk space .*\n", done.stderr)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--out", str(tmp_path)]) == 2
    assert "Is a directory; free disk space or mend the path" in capsys.readouterr().err
