"""A request's rows are found in what servers write, by the server's own code, and mistakes are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import fsspec
import orjson
import polars as pl
import pytest

from ci.adapters import inference_log
from ci.core.errors import ConfigurationError, EnvironmentFault
from ml.serve import log_files
from ml.serve.log_files import Header
from ml.serve.log_store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 498_829  # 2026-11-27 13:00 UTC
HEADER = Header("toy", "a" * 32, "a" * 12, "", {"age": "FP32", "plan": "BYTES", "size": "INT64"}, {"plan": "hash"})


def piece(request_id: str, at: float, *scores: float, first: int = 0) -> bytes:
    rows = len(scores)
    found: list[Any] = [request_id, first, at, [[0.1] * rows, ["x"] * rows, [2**60 + 1] * rows], list(scores)]
    return orjson.dumps(found)


def write(url: str, hour: int, name: str, *pieces: bytes, header: Header = HEADER) -> None:
    Store(url).put(log_files.path(header, hour, name), log_files.parquet(header, pieces, b"k"))


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder, and what stands for an object store."""
    yield str(tmp_path / "log") if request.param == "folder" else "memory://log"
    fsspec.filesystem("memory").store.clear()


def test_all_rows_of_a_request_are_found_as_they_were(url: str) -> None:
    write(url, HOUR, "a", piece("one", HOUR * 3600.0, 0.25, 0.5), piece("two", HOUR * 3600.0, 0.75))
    first, second = inference_log.find(url, "one")
    assert (first.row, first.score, second.row, second.score) == (0, 0.25, 1, 0.5)
    assert first.time == datetime(2026, 11, 27, 13, tzinfo=UTC)
    assert first.features.keys() == {"age", "plan", "size"}
    assert first.features["age"] == pytest.approx(0.1, abs=1e-8)
    assert first.features["size"] == 2**60 + 1
    assert first.features["plan"] == log_files.hashed(b"k", "plan", "x")
    assert inference_log.find(url, "three") == ()


def test_of_an_id_that_was_used_twice_the_last_hour_is_read(url: str) -> None:
    write(url, HOUR, "a", piece("one", HOUR * 3600.0, 0.1, 0.2))
    write(url, HOUR + 1, "a", piece("one", HOUR * 3600 + 3601.0, 0.3), piece("one", HOUR * 3600 + 3602.0, 0.4))
    assert [row.score for row in inference_log.find(url, "one")] == [0.3, 0.4]


def test_hours_before_a_time_are_not_opened(tmp_path: Path) -> None:
    url = str(tmp_path / "log")
    write(url, HOUR, "a", piece("one", HOUR * 3600.0, 0.1))
    for hour in (HOUR - 1, HOUR - 24):
        broken = tmp_path / "log" / log_files.path(HEADER, hour, "a")
        broken.parent.mkdir(parents=True)
        broken.write_bytes(b"not a file of Parquet")
    (tmp_path / "log" / "model=toy" / "date=later" / "hour=x").mkdir(parents=True)
    start = datetime(2026, 11, 27, 13, 59, tzinfo=UTC)  # within the hour that has it
    assert len(inference_log.find(url, "one", since=start)) == 1
    assert inference_log.find(url, "two", since=start) == ()
    with pytest.raises(EnvironmentFault, match=r"hour=12/a\.parquet in the inference log cannot be read"):
        inference_log.find(url, "two")


def test_models_of_other_features_lie_in_the_same_log(url: str) -> None:
    write(url, HOUR, "a", piece("one", HOUR * 3600.0, 0.1))
    other = Header("other", "b" * 32, "b" * 12, "stable", {"weight": "FP64"}, {})
    write(url, HOUR, "a", orjson.dumps(["two", 0, HOUR * 3600.5, [[None]], [0.2]]), header=other)
    (row,) = inference_log.find(url, "two")
    assert (row.model, row.track, row.features) == ("other", "stable", {"weight": None})
    write(url, HOUR - 1, "b", orjson.dumps(["one", 0, HOUR * 3600.0 - 1, [[None]], [0.2]]), header=other)
    assert [row.model for row in inference_log.find(url, "one")] == ["toy"]  # it came later
    assert [row.model for row in inference_log.find(url, "one", model="other")] == ["other"]
    with pytest.raises(ConfigurationError, match="has no model 'othr'; did you mean 'other'"):
        inference_log.find(url, "one", model="othr")


def test_what_is_no_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no inference log at .*nowhere: no folder there"):
        inference_log.find(str(tmp_path / "nowhere"), "one")
    with pytest.raises(ConfigurationError, match="nosuch://host/log is not a log that can be read here"):
        inference_log.find("nosuch://user:secret@host/log", "one")
    strange = tmp_path / log_files.path(HEADER, HOUR, "a")
    strange.parent.mkdir(parents=True)
    pl.DataFrame({"request_id": ["one"], "time": [1]}).write_parquet(strange)
    with pytest.raises(EnvironmentFault, match="cannot be read"):
        inference_log.find(str(tmp_path), "one")
