"""Every kind of violation on a tiny table, exact counts whatever the chunks, and files that cannot be read."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrors
from pandera.polars import PolarsData

from ml import accumulators
from ml.errors import StageError
from ml.validation import Result, validate
from ml.violations import Violation


class Raw(pa.DataFrameModel):
    id: pl.Int64 = pa.Field(unique=True, ge=0)
    at: Annotated[pl.Datetime, "ns", None] = pa.Field(nullable=True, metadata={"sorted": True})
    amount: pl.Float64 = pa.Field(in_range={"min_value": 0, "max_value": 10})
    colour: pl.String | None = pa.Field(isin={"red", "green", "blue"})
    label: pl.Int8 = pa.Field(isin=[0, 1], metadata={"label_rate": (0.25, 0.75)})

    @pa.dataframe_check
    @classmethod
    def dear_when_labelled(cls, data: PolarsData) -> pl.LazyFrame:
        """What is labelled costs more than 1."""
        return data.lazyframe.select((pl.col("label") == 0) | (pl.col("amount") > 1))

    class Config:
        name = "toys"


SCHEMA = {
    "id": pl.Int64(),
    "at": pl.Datetime("ns"),
    "amount": pl.Float64(),
    "colour": pl.String(),
    "label": pl.Int8(),
}


def toys(rows: int = 8, **changed: list[Any]) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {
        "id": list(range(10, 10 + rows)),
        "at": [datetime(2018, 4, 1) + timedelta(hours=i // 2) for i in range(rows)],  # noqa: DTZ001 - published times have no zone
        "amount": [2.0] * rows,
        "colour": ["red"] * rows,
        "label": [i % 2 for i in range(rows)],
    }
    return pl.DataFrame(columns | changed, schema=SCHEMA)


def judge(table: pl.DataFrame, folder: Path, *, chunk_rows: int = 3, model: type[pa.DataFrameModel] = Raw) -> Result:
    table.write_parquet(folder / "toys.parquet", row_group_size=2)
    return validate(folder / "toys.parquet", model, chunk_rows=chunk_rows)


def only(result: Result) -> Violation:
    assert len(result.violations) == 1, result.violations
    assert not result.passed
    return result.violations[0]


def test_good_table_passes(tmp_path: Path) -> None:
    assert judge(toys(), tmp_path) == Result(8, 5, ())


def test_missing_values_nan_among_them(tmp_path: Path) -> None:
    found, _not_in_range_either = judge(toys(amount=[2, None, 2, 2, float("nan"), 2, 2, None]), tmp_path).violations
    assert (found.column, found.check, found.count) == ("amount", "not_nullable", 3)
    assert found.message == "column 'amount': 3 of 8 values are missing (null or NaN), the schema allows none"
    assert found.rows == (
        {"row": 1, "id": 11, "amount": None},
        {"row": 4, "id": 14, "amount": "nan"},
        {"row": 7, "id": 17, "amount": None},
    )


def test_range_counts_all_and_shows_the_first_five(tmp_path: Path) -> None:
    found = only(judge(toys(amount=[2, 10.5, 11, 12, 13, 14, 15, 16]), tmp_path))
    assert (found.column, found.check, found.count) == ("amount", "in_range(0, 10)", 7)
    assert [row["row"] for row in found.rows] == [1, 2, 3, 4, 5]
    assert found.message == "column 'amount': 7 of 8 values break in_range(0, 10)"


def test_category_is_named_the_same_in_every_run(tmp_path: Path) -> None:
    found = only(judge(toys(colour=["red", "pink", *["blue"] * 6]), tmp_path))
    assert found.check == "isin(['blue', 'green', 'red'])"
    assert found.rows == ({"row": 1, "id": 11, "colour": "pink"},)


def test_rule_across_columns_shows_the_columns_it_reads(tmp_path: Path) -> None:
    found = only(judge(toys(amount=[0.5, 2, 2, 2, 2, 0.5, 2, 2]), tmp_path))
    assert (found.column, found.check, found.count) == (None, "dear_when_labelled", 1)
    assert found.message == "1 of 8 rows break dear_when_labelled: What is labelled costs more than 1."
    assert found.rows == ({"row": 5, "id": 15, "amount": 0.5, "label": 1},)


@pytest.mark.parametrize("part_rows", [1, 3, 100])
def test_double_ids_in_other_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_rows: int) -> None:
    monkeypatch.setattr(accumulators, "PART_ROWS", part_rows)
    found = only(judge(toys(id=[7, 6, 5, 4, 3, 6, 1, 7]), tmp_path))
    assert (found.column, found.check, found.count) == ("id", "unique", 4)
    assert [(row["row"], row["id"]) for row in found.rows] == [(0, 7), (1, 6), (5, 6), (7, 7)]
    assert found.message == "column 'id': 4 of 8 rows share their value with another, each must be unique"


def test_ids_in_no_order_pass_when_unique(tmp_path: Path) -> None:
    assert judge(toys(id=[7, 1, 5, 4, 3, 6, 0, 2]), tmp_path).passed


def test_double_id_at_a_chunk_border(tmp_path: Path) -> None:
    assert only(judge(toys(id=[0, 1, 2, 2, 3, 4, 5, 6]), tmp_path, chunk_rows=3)).count == 2


def test_unique_across_columns(tmp_path: Path) -> None:
    class Pairs(pa.DataFrameModel):
        id: pl.Int64
        colour: pl.String

        class Config:
            unique = ["id", "colour"]  # noqa: RUF012 - pandera's own form

    table = toys(id=[1, 1, 2, 2, 3, 3, 1, 4], colour=["red", "blue", "red", "red", "red", "blue", "red", "red"])
    found = only(judge(table, tmp_path, model=Pairs))
    assert (found.column, found.count) == ("id", 4)
    assert found.rows[0] == {"row": 0, "id": 1, "colour": "red"}
    assert "column 'id' and 'colour': 4 of 8 rows" in found.message


def test_time_that_falls_between_chunks_by_a_nanosecond(tmp_path: Path) -> None:
    nanoseconds = pl.Series("at", [10, 11, 12, 11, 11, 13, None, 12]).cast(pl.Datetime("ns"))
    found = only(judge(toys().with_columns(nanoseconds), tmp_path, chunk_rows=3))
    assert (found.column, found.check, found.count) == ("at", "sorted", 2)
    assert [row["row"] for row in found.rows] == [3, 7]


def test_label_rate_out_of_range(tmp_path: Path) -> None:
    found = only(judge(toys(label=[0, 0, 0, 0, 0, 0, 0, 1]), tmp_path))
    assert (found.column, found.check, found.count, found.rows) == ("label", "label_rate", 8, ())
    assert (
        found.message
        == "column 'label': the share of ones is 0.125, expected both classes and a share from 0.25 to 0.75"
    )


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_class(tmp_path: Path, label: int) -> None:
    found = only(judge(toys(label=[label] * 8), tmp_path))
    assert f"all 8 labels are {label}, expected both classes" in found.message


def test_labels_that_are_all_null_are_told_once(tmp_path: Path) -> None:
    assert only(judge(toys(label=[None] * 8), tmp_path)).check == "not_nullable"


def test_all_violations_in_the_order_of_the_schema(tmp_path: Path) -> None:
    table = toys(id=[-1, -1, 2, 3, 4, 5, 6, 7], amount=[None, 99, *[2.0] * 6], label=[5, 1, 0, 0, 0, 0, 0, 0])
    found = judge(table, tmp_path).violations
    assert [(each.column, each.check) for each in found] == [
        ("id", "greater_than_or_equal_to(0)"),
        ("amount", "not_nullable"),
        ("amount", "in_range(0, 10)"),
        ("label", "isin([0, 1])"),
        ("id", "unique"),
    ]


def test_missing_column_names_the_nearest(tmp_path: Path) -> None:
    found = only(judge(toys().rename({"amount": "amuont"}), tmp_path))
    assert (found.column, found.check) == ("amount", "column_present")
    assert found.message == (
        "column 'amount' is missing, the schema of toys expects it; the nearest in the file is 'amuont'"
    )


def test_missing_column_with_none_near(tmp_path: Path) -> None:
    found = only(judge(toys().drop("amount"), tmp_path))
    assert found.message.endswith("the file has id, at, colour, label")


def test_optional_column_may_be_missing(tmp_path: Path) -> None:
    assert judge(toys().drop("colour"), tmp_path).passed


def test_column_of_another_type(tmp_path: Path) -> None:
    found = only(judge(toys().cast({"amount": pl.String}), tmp_path))
    assert (found.column, found.check) == ("amount", "dtype")
    assert found.message == "column 'amount' is String, the schema of toys expects Float64"


def test_strict_schema_names_the_column_too_many(tmp_path: Path) -> None:
    class Strict(Raw):
        class Config:
            name = "toys"
            strict = True

    found = only(judge(toys().with_columns(extra=1), tmp_path, model=Strict))
    assert found.message == "column 'extra' is not where the schema of toys expects it: column not in schema"


def test_coercion_does_not_hide_a_wrong_type(tmp_path: Path) -> None:
    class Coerced(Raw):
        class Config:
            name = "toys"
            coerce = True

    assert only(judge(toys().cast({"amount": pl.String}), tmp_path, model=Coerced)).check == "dtype"


def test_empty_table(tmp_path: Path) -> None:
    result = judge(toys(0), tmp_path)
    assert result.rows == 0
    assert only(result).message == "the table has no rows, the schema of toys expects some"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"nowhere\.parquet is missing; pull the data"):
        validate(tmp_path / "nowhere.parquet", Raw)
    with pytest.raises(StageError, match="is not a file"):
        validate(tmp_path, Raw)


@pytest.mark.parametrize("content", [b"", b"id,at,amount,colour,label\n", "truncated", "torn"])
def test_file_that_is_not_whole_parquet(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "toys.parquet"
    toys(1_000, id=list(range(999, -1, -1)), at=[None] * 1_000, colour=["red", "green"] * 500).write_parquet(path)
    whole = path.read_bytes()
    if content == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif content == "torn":
        path.write_bytes(whole[:20] + b"\xff" * 200 + whole[220:])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(
        StageError, match=r"toys\.parquet cannot be read as Parquet \(.*\); it may be truncated"
    ) as stop:
        validate(path, Raw)
    assert stop.value.exit_code == 1
    assert "\n" not in stop.value.message


@pytest.mark.parametrize("depth", list(ValidationDepth))
def test_environment_cannot_switch_rules_off(tmp_path: Path, depth: ValidationDepth) -> None:
    with config_context(validation_enabled=False, validation_depth=depth):
        assert only(judge(toys(amount=[-1.0, *[2.0] * 7]), tmp_path)).count == 1


def test_rule_that_cannot_run(tmp_path: Path) -> None:
    class Typo(Raw):
        @pa.dataframe_check
        @classmethod
        def cheap(cls, data: PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(pl.col("amuont") < 5)

        class Config:
            name = "toys"

    with pytest.raises(StageError, match="check 'cheap' of the schema of toys cannot run: ColumnNotFoundError"):
        judge(toys(), tmp_path, model=Typo)


def test_rule_about_the_whole_table_is_refused(tmp_path: Path) -> None:
    class Mean(Raw):
        @pa.dataframe_check
        @classmethod
        def mean(cls, data: PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(pl.col("amount").mean() < 5)

        class Config:
            name = "toys"

    with pytest.raises(StageError, match="check 'mean' of the schema of toys gives one answer for the whole table"):
        judge(toys(), tmp_path, model=Mean)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"sortd": True}, "column 'at' of the schema of .* has unknown metadata 'sortd'; did you mean 'sorted'?"),
        ({"label_rate": (0, 1)}, "is Datetime.*; a label rate needs integers 0 and 1, or booleans"),
    ],
)
def test_metadata_that_is_wrong(tmp_path: Path, metadata: dict[str, Any], words: str) -> None:
    class Wrong(pa.DataFrameModel):
        at: Annotated[pl.Datetime, "ns", None] = pa.Field(metadata=metadata)

    with pytest.raises(StageError, match=words):
        judge(toys(), tmp_path, model=Wrong)


def test_label_rate_that_is_no_pair(tmp_path: Path) -> None:
    class Wrong(pa.DataFrameModel):
        label: pl.Int8 = pa.Field(metadata={"label_rate": 0.5})

    with pytest.raises(StageError, match=r"has label_rate 0\.5; expected two numbers"):
        judge(toys(), tmp_path, model=Wrong)


def perhaps(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


ROW = st.tuples(
    perhaps(st.integers(-2, 12)),
    perhaps(st.integers(0, 4)),
    perhaps(st.sampled_from([-1.0, 0.5, 5.0, 50.0, float("nan")])),
    perhaps(st.sampled_from(["red", "blue", "pink"])),
    perhaps(st.integers(-1, 2)),
)


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(ROW, min_size=1, max_size=25), chunk_rows=st.integers(1, 30))
def test_any_chunks_give_what_pandera_and_a_plain_count_give(rows: list[tuple[Any, ...]], chunk_rows: int) -> None:
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    with tempfile.TemporaryDirectory() as folder:
        result = judge(table, Path(folder), chunk_rows=chunk_rows)
        assert result == judge(table, Path(folder), chunk_rows=1_000)
    found = {(each.column, each.check): each for each in result.violations}
    for each in result.violations:
        assert len(each.rows) == (0 if each.check == "label_rate" else min(5, each.count))
    counts = {key: each.count for key, each in found.items() if key[1] not in {"unique", "sorted", "label_rate"}}
    assert counts == by_pandera(table)
    ids, times = table["id"].to_list(), table["at"].cast(pl.Int64).drop_nulls().to_list()
    doubles = [at for at, value in enumerate(ids) if value is not None and ids.count(value) > 1]
    shown = found["id", "unique"].rows if ("id", "unique") in found else ()
    assert [row["row"] for row in shown] == doubles[:5]
    falls = sum(later < earlier for earlier, later in pairwise(times))
    assert (found["at", "sorted"].count if ("at", "sorted") in found else 0) == falls


def by_pandera(table: pl.DataFrame) -> dict[tuple[str | None, str], int]:
    """Pandera's own counts of failing rows on the whole table, without what looks at more than a row."""
    try:
        Raw.validate(table, lazy=True)
    except SchemaErrors as errors:
        return {
            (None if error.schema.name == "toys" else error.schema.name, words(error.check)): error.failure_cases.height
            for error in errors.schema_errors
            if error.check != "field_uniqueness"
        }
    return {}


def words(check: Any) -> str:
    if check == "not_nullable":
        return "not_nullable"
    return "isin(['blue', 'green', 'red'])" if "red" in str(check) else str(check.error or check.name)
