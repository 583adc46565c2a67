"""New labelled rows are found once, in the data's own types, and put behind it as the same bytes each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import fsspec
import polars as pl
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ci.adapters import rows
from ci.adapters.rows import Columns, Later
from ci.core.errors import ConfigurationError, EnvironmentFault
from tests.retraining import START, frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLAIN, TIMED = Columns("key", "left"), Columns("key", "left", "when")
UNTIL = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "rows.parquet"
    path.parent.mkdir()
    frame(0, 100).write_parquet(path)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "rows").mkdir()
    return tmp_path / "rows"


def test_rows_that_are_there_lack_a_label_or_come_twice_are_left_out(data: Path, place: Path) -> None:
    (place / "2026").mkdir()
    frame(90, 30).write_parquet(place / "2026" / "b.parquet")
    frame(110, 20).with_columns(left=pl.when(pl.col("key") < 125).then("left")).write_parquet(place / "a.parquet")
    (place / "_SUCCESS").write_text("")
    (place / ".c.parquet.part").write_text("torn")
    found = rows.fresh(str(place), data, PLAIN, UNTIL)
    assert found.frame["key"].to_list() == list(range(100, 125))
    assert found.told.model_dump() == {"rows": 25, "first": None, "last": None}


def test_rows_of_a_time_are_later_than_the_newest_and_of_a_final_label(data: Path, place: Path) -> None:
    frame(0, 100, day=0).write_parquet(data)
    frame(50, 500, day=0.5).with_columns(pl.col("when").cast(pl.Datetime("ns"))).write_parquet(place / "a.parquet")
    frame(600, 480, day=2).write_parquet(place / "b.parquet")
    found = rows.fresh(str(place), data, TIMED, UNTIL)
    newest = (START + timedelta(days=0.99)).replace(tzinfo=None)
    assert found.frame["key"].min() > 99  # type: ignore[operator]
    assert found.frame["when"].min() > newest  # type: ignore[operator]
    assert found.frame.schema == pl.read_parquet_schema(data)
    assert found.told.last is not None
    assert found.told.last < "2026-11-23T00:00:00+00:00"
    assert found.told.rows == found.frame.height > 300


def test_a_zone_is_kept(data: Path, place: Path) -> None:
    zoned = [pl.col("when").dt.replace_time_zone("UTC")]
    frame(0, 100, day=0).with_columns(zoned).write_parquet(data)
    frame(100, 100, day=2).with_columns(zoned).write_parquet(place / "a.parquet")
    assert rows.fresh(str(place), data, TIMED, UNTIL).told.rows == 75


def test_the_same_rows_give_the_same_bytes_and_no_link_is_written_through(data: Path, place: Path) -> None:
    kept = data.with_name("cache")
    data.rename(kept)
    data.symlink_to(kept)
    before, made = kept.read_bytes(), []
    frame(100, 50).write_parquet(place / "a.parquet")
    for _ in range(2):
        data.unlink()
        data.symlink_to(kept)
        rows.append(data, rows.fresh(str(place), data, PLAIN, UNTIL))
        made.append(data.read_bytes())
    assert made[0] == made[1]
    assert kept.read_bytes() == before
    assert pl.read_parquet(data)["key"].to_list() == list(range(150))
    assert sorted(path.name for path in data.parent.parent.iterdir()) == ["data", "rows"]


def test_a_url_of_fsspec_is_read_as_a_folder_is(data: Path, place: Path) -> None:
    frame(100, 50).write_parquet(place / "a.parquet")
    store = fsspec.filesystem("memory")
    store.pipe_file("/new/rows/a.parquet", (place / "a.parquet").read_bytes())
    assert rows.fresh("memory://new/rows", data, PLAIN, UNTIL).told.rows == 50
    assert rows.fresh(f"file://{place}", data, PLAIN, UNTIL).told.rows == 50


@pytest.mark.parametrize(
    "kind", [pl.Datetime("ns", "UTC"), pl.Datetime("us", "Europe/Berlin"), pl.Datetime("ms"), pl.Date()], ids=str
)
def test_times_of_the_data_are_of_any_kind(data: Path, place: Path, kind: pl.DataType) -> None:
    when = pl.col("when").dt.replace_time_zone(None)
    when = when.dt.replace_time_zone(kind.time_zone) if isinstance(kind, pl.Datetime) and kind.time_zone else when
    frame(0, 100, day=0).with_columns(when.cast(kind)).write_parquet(data)
    frame(600, 480, day=2).with_columns(when.cast(kind)).write_parquet(place / "a.parquet")
    found = rows.fresh(str(place), data, TIMED, UNTIL)
    assert found.told.rows > 300
    assert found.told.last is not None
    assert found.told.last < "2026-11-23T00:00:00+00:00"


def known(place: Path, name: str, ids: Sequence[float], label: Sequence[float], **more: object) -> Path:
    """A file of labels that came later."""
    place.mkdir(exist_ok=True)
    pl.DataFrame({"id": ids, "label": label, **more}).write_parquet(place / name)
    return place


def test_rows_get_the_labels_that_came_later_and_of_several_the_latest(data: Path, place: Path, tmp_path: Path) -> None:
    unknown = pl.when(pl.col("key") < 102).then("left")
    frame(100, 10).with_columns(left=unknown).write_parquet(place / "a.parquet")
    frame(110, 2).drop("left").write_parquet(place / "b.parquet")
    own = frame(100, 2)["left"].to_list()
    at = [datetime(2026, 11, day, tzinfo=UTC) for day in (3, 2, 1)]
    there = known(tmp_path / "labels", "a.parquet", [103, 104, 103], [1, 0, 0], time=at)
    known(there, "b.parquet", [104, 105, 110, 100], [1, 1, 1, 1 - own[0]], time=[at[0]] * 4, row=[0, 1, 0, 0])
    assert rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there), True)).frame.select("key", "left").rows() == [
        (100, 1 - own[0]),
        (101, own[1]),
        (103, 1),
        (104, 1),
        (110, 1),
    ]
    known(there, "c.parquet", [103], [0])  # where not all have a time, the last in order counts
    assert (103, 0) in rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there), True)).frame["key", "left"].rows()


def test_rows_of_which_no_label_is_known_yet_get_them_too(data: Path, place: Path, tmp_path: Path) -> None:
    frame(100, 10).with_columns(left=pl.lit(None)).write_parquet(place / "a.parquet")  # of no type
    there = known(tmp_path / "labels", "a.parquet", [103.0], [1], time=[None])  # an integer, after pandas
    found = rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there), True))
    assert found.frame.select("key", "left").rows() == [(103, 1)]
    assert found.frame.schema == pl.read_parquet_schema(data)


@pytest.mark.parametrize(
    ("label", "words"),
    [([2], r"a label is 2 \(id 103\); expected 0 or 1"), ([float("nan")], "a label is nan")],
)
def test_labels_that_are_none_stop_it(data: Path, place: Path, tmp_path: Path, label: list[int], words: str) -> None:
    frame(100, 10).write_parquet(place / "a.parquet")
    there = known(tmp_path / "labels", "a.parquet", [103], label)
    with pytest.raises(ConfigurationError, match=words):
        rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there), True))
    pl.DataFrame({"key": [1], "label": [1]}).write_parquet(there / "a.parquet")
    with pytest.raises(ConfigurationError, match="have no column 'id'"):
        rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there), True))
    (there / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigurationError, match=r"a\.parquet cannot be read as labels"):
        rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there), True))
    with pytest.raises(ConfigurationError, match=r"drift\.labels is .* nothing is there"):
        rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there / "none"), True))


@pytest.mark.parametrize("kind", [pl.Float64(), pl.Int64()])
def test_a_label_that_is_no_number_is_not_known(data: Path, place: Path, kind: pl.DataType) -> None:
    frame(0, 100).with_columns(pl.col("left").cast(kind)).write_parquet(data)
    unknown = pl.when(pl.col("key") < 105).then("left").otherwise(float("nan"))
    frame(100, 10).with_columns(left=unknown).write_parquet(place / "a.parquet")
    assert rows.fresh(str(place), data, PLAIN, UNTIL).frame["key"].to_list() == list(range(100, 105))


def test_what_the_types_of_the_data_would_cut_is_refused(data: Path, place: Path, tmp_path: Path) -> None:
    frame(100, 10).write_parquet(place / "a.parquet")
    there = known(tmp_path / "labels", "a.parquet", [103], [10.5])
    words = r"label of drift.labels is 10.5 \(id 103\), and the rows have 'left' as Int64, which would cut it"
    with pytest.raises(ConfigurationError, match=words):
        rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there), False))
    frame(100, 10).with_columns(left=pl.lit(2.5)).write_parquet(place / "a.parquet")
    with pytest.raises(
        ConfigurationError, match=r"a\.parquet has a 'left' of 2\.5, which rows\.parquet would cut to Int64"
    ):
        rows.fresh(str(place), data, PLAIN, UNTIL)
    frame(100, 10).with_columns(pl.col("left").cast(pl.Float64)).write_parquet(place / "a.parquet")
    known(there, "a.parquet", [103], [7.0])
    found = rows.fresh(str(place), data, PLAIN, UNTIL, Later(str(there), False))
    assert found.frame["left"].to_list() == [1, 0, 0, 7, 1, 0, 0, 0, 1, 0]


def test_what_cannot_be_rows_is_told_with_what_to_do(data: Path, place: Path) -> None:
    path = place / "a.parquet"
    frame(100, 9).rename({"left": "lefft"}).write_parquet(path)
    with pytest.raises(ConfigurationError, match=r"no column 'left', which rows\.parquet has; did you mean 'lefft'"):
        rows.fresh(str(place), data, PLAIN, UNTIL)
    frame(100, 9).with_columns(x=pl.lit("much")).write_parquet(path)
    with pytest.raises(ConfigurationError, match=r"a\.parquet cannot be read as rows of rows\.parquet"):
        rows.fresh(str(place), data, PLAIN, UNTIL)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ConfigurationError, match=r"a\.parquet cannot be read"):
        rows.fresh(str(place), data, PLAIN, UNTIL)
    with pytest.raises(ConfigurationError, match="nothing is there"):
        rows.fresh(str(place / "none"), data, PLAIN, UNTIL)
    with pytest.raises(ConfigurationError, match=r"drift\.rows is nosuch://x"):
        rows.fresh("nosuch://u:secret@x", data, PLAIN, UNTIL)


def test_a_store_that_does_not_answer_is_told_apart(data: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("http://user:secret@store/rows: no answer")

    monkeypatch.setattr("ci.adapters.stores.PAUSES", (0.0, 0.0))
    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.find", away)
    with pytest.raises(EnvironmentFault, match=r"cannot be read: .*no answer; run this again") as told:
        rows.fresh(str(place), data, PLAIN, UNTIL)
    assert "secret" not in told.value.message


def test_a_store_is_asked_again_and_one_that_is_away_is_not_empty(
    data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame(100, 3).write_parquet(place / "a.parquet")
    monkeypatch.setattr("ci.adapters.stores.PAUSES", (0.0, 0.0))
    store, given = fsspec.filesystem("memory"), MemoryFileSystem.cat_file
    store.put(str(place), "/rows-of-a-test", recursive=True)
    asked: list[object] = []

    def seldom(*args: Any, **named: Any) -> Any:
        asked.append(args)
        if len(asked) < 3:
            raise ConnectionError
        return given(*args, **named)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", seldom)
    assert rows.fresh("memory://rows-of-a-test", data, PLAIN, UNTIL).frame.height == 3
    pytest.importorskip("aiohttp")
    with pytest.raises(EnvironmentFault, match=r"what is at http://127.0.0.1:1/rows cannot be read: .*run this again"):
        rows.fresh("http://127.0.0.1:1/rows", data, PLAIN, UNTIL)
