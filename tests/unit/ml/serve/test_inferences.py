"""The inference log keeps what it is offered, within its memory, and says what became of each row."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from ml.serve import inferences
from ml.serve.errors import CannotStart
from ml.serve.inferences import Inferences, is_sampled
from ml.serve.model import Model
from ml.serve.protocol import Question
from ml.serve.settings import LogSettings
from tests.unit.ml.serve import models, stores

if TYPE_CHECKING:
    from pathlib import Path

KEY = "k" * 32
NOON = 1_795_780_800.0  # 2026-11-27 12:00 UTC


class Kept:
    """A log of a small model, and what it says of its rows."""

    def __init__(self, folder: Path, url: str, **changes: Any) -> None:
        sensitive = changes.pop("sensitive", {})
        self.model = Model.load(models.pack(folder / "model", models.mixed(), sensitive=sensitive))
        settings = LogSettings(
            url=url, share=1.0, seconds=3600, most_bytes=2**20, track="canary", has_key="SERVE_LOG_KEY" in os.environ
        )
        settings = LogSettings(**(vars(settings) | changes))
        self.log = Inferences(settings, self.model.record, self.model.columns)

    def offer(self, name: str, *kinds: str, at: float = NOON) -> None:
        rows = len(kinds)
        columns: dict[str, Any] = {
            "single": np.full(rows, 0.1, dtype=np.float32),
            "wide": np.arange(rows) + 0.25,
            "whole": np.full(rows, 2**53 + 1, dtype=np.int64),
            "kind": np.array(kinds, dtype=object),
        }
        asked = Question(name, rows, self.model.columned(columns))
        self.log.offer(asked, self.model.score(columns), at, size=40 * rows)


def read(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(f"{folder}/**/*.parquet", hive_partitioning=True).sort("request_id", "row")


def test_each_row_is_there_with_its_types(tmp_path: Path) -> None:
    kept = Kept(tmp_path, str(tmp_path / "log"))
    kept.log.start()
    kept.offer("a", "x", "é\n")
    kept.offer("b", "z", at=NOON + 3600.5)
    kept.log.close(30)
    assert kept.log.counts() == (3, 0)
    found = read(tmp_path / "log").unnest("features")
    assert found["request_id"].to_list() == ["a", "a", "b"]
    assert found["row"].to_list() == [0, 1, 0]
    assert found["kind"].to_list() == ["x", "é\n", "z"]
    assert found["single"].dtype == pl.Float32
    assert found["single"].to_list() == [np.float32(0.1)] * 3
    assert found["whole"].to_list() == [2**53 + 1] * 3
    assert found["score"].to_list() == pytest.approx([0.1 + 0.25 + 2**53, 0.1 + 1.25 + 2**53 + 1, 0.35 + 2**53 + 1])
    assert found["hour"].to_list() == [12, 12, 13]
    assert [str(each) for each in found["time"].to_list()][::2] == [
        "2026-11-27 12:00:00+00:00",
        "2026-11-27 13:00:00.500000+00:00",
    ]
    record = kept.model.record
    about = found.select("model", "model_hash", "version", "track").unique().row(0)
    assert about == ("toy", record.model_hash, record.version, "canary")
    names = [path.relative_to(tmp_path / "log").parent.as_posix() for path in sorted(tmp_path.rglob("*.parquet"))]
    assert names == [f"model=toy/date=2026-11-27/hour={hour}" for hour in (12, 13)]


def test_a_large_request_is_kept_whole(tmp_path: Path) -> None:
    kept = Kept(tmp_path, str(tmp_path / "log"), most_bytes=2**23)
    kept.log.start()
    kept.offer("a", *["x"] * 10_000)
    kept.log.close(30)
    found = read(tmp_path / "log")
    assert found["row"].to_list() == list(range(10_000))
    assert found["features"].struct.field("wide").to_list() == [row + 0.25 for row in range(10_000)]


def test_a_sensitive_column_is_hashed_or_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_LOG_KEY", KEY)
    kept = Kept(tmp_path, str(tmp_path / "log"), sensitive={"kind": "hash", "wide": "hash", "whole": "drop"})
    kept.log.start()
    kept.offer("a", "x", "secret", "x")
    kept.log.close(30)
    found = read(tmp_path / "log")["features"].struct.unnest()
    assert found.columns == ["single", "wide", "kind"]
    one, other, again = found["kind"].to_list()
    assert one == again != other
    assert all(value.startswith("hmac:") and len(value) == 37 for value in (*found["kind"], *found["wide"]))
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*.parquet"))


def test_it_does_not_start_where_it_would_show_what_is_sensitive(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="SERVE_LOG_KEY"):
        Kept(tmp_path, "log", sensitive={"kind": "hash"})
    with pytest.raises(CannotStart, match="'knid' as sensitive, which is no feature"):
        Kept(tmp_path, "log", sensitive={"knid": "drop"})
    with pytest.raises(CannotStart, match="expected hash or drop"):
        Kept(tmp_path, "log", sensitive={"kind": "encrypt"})


def test_it_does_not_start_for_a_place_that_nothing_here_can_write_to(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "nosuch://user:secret@host/log")
    with pytest.raises(CannotStart, match="SERVE_LOG is nosuch://host/log, which nothing") as told:
        kept.log.start()
    assert "secret" not in str(told.value)


def test_a_share_is_the_same_requests_everywhere() -> None:
    ids = [f"request-{number}" for number in range(20_000)]
    some = {name for name in ids if is_sampled(name, 0.1)}
    assert abs(len(some) - 2_000) < 4 * (20_000 * 0.1 * 0.9) ** 0.5
    assert some < {name for name in ids if is_sampled(name, 0.2)}
    assert not any(is_sampled(name, 0.0) for name in ids)
    assert is_sampled("4", 0.5) is (
        int.from_bytes(__import__("hashlib").blake2b(b"4", digest_size=8).digest(), "big") < 2**63
    )


def test_beyond_its_memory_it_drops_and_counts(tmp_path: Path) -> None:
    kept = Kept(tmp_path, str(tmp_path / "log"), most_bytes=2**13)
    for number in range(50):  # nothing takes them: it was not started
        kept.offer(f"{number}", "x", "y")
    assert 0 < kept.log.counts()[1] < 100
    queued = 100 - kept.log.counts()[1]
    kept.log.start()
    kept.log.close(30)
    assert kept.log.counts() == (queued, 100 - queued)


def test_what_a_killed_writer_had_is_counted_and_another_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inferences, "PAUSES", (0.01,))
    kept = Kept(tmp_path, str(tmp_path / "log"))
    kept.log.start()
    kept.offer("lost", "x")
    while kept.log._queue:
        time.sleep(0.01)
    first = kept.log._writer._process
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    kept.offer("found dead", "x")
    while kept.log._writer._process is first:
        time.sleep(0.01)
    kept.offer("kept", "x")
    kept.log.close(30)
    assert kept.log.counts() == (1, 2)
    assert read(tmp_path / "log")["request_id"].to_list() == ["kept"]


def test_a_store_that_cannot_be_written_is_tried_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("in the way")
    kept = Kept(tmp_path, str(tmp_path / "log"), seconds=1)
    kept.log.start()
    kept.offer("a", "x")
    said = ""
    while "cannot be written to" not in said:
        time.sleep(0.05)
        said += capfd.readouterr().err
    (tmp_path / "log").unlink()
    while not kept.log.counts()[0]:
        time.sleep(0.05)
    kept.log.close(30)
    assert kept.log.counts() == (1, 0)
    said += capfd.readouterr().err
    assert said.count("cannot be written to") == said.count("again") - 1 == 1


def test_what_no_store_took_in_the_end_is_counted(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    kept = Kept(tmp_path, str(tmp_path / "log"))
    kept.log.start()
    kept.offer("a", "x", "y")
    kept.log.close(30)
    assert kept.log.counts() == (0, 2)


def test_a_store_that_never_answers_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{stores.stuck(tmp_path / 'site')}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    kept = Kept(tmp_path, "stuck://log", seconds=1, most_bytes=2**18)
    kept.log.start()
    longest = 0.0
    for number in range(1_000_000):
        began = time.perf_counter()
        kept.offer(f"{number}", *["x"] * 100)
        longest = max(longest, time.perf_counter() - began)
        if kept.log.counts()[1] > 1_000:
            break
    assert longest < 1  # of a store that takes ten minutes
    began = time.monotonic()
    kept.log.close(0.5)
    assert time.monotonic() - began < 10
    assert kept.log.counts() == (0, 100 * (number + 1))


def test_a_writer_that_cannot_be_started_again_holds_no_end_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(tmp_path, str(tmp_path / "log"))
    kept.log.start()
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    monkeypatch.setattr(inferences, "PAUSES", (0.01, 60.0))
    kept.log._writer.kill()
    kept.offer("a", "x")
    while not kept.log.counts()[1] or kept.log._failed < 1:
        time.sleep(0.01)
    kept.offer("b", "x", "y")
    began = time.monotonic()
    kept.log.close(5)
    assert time.monotonic() - began < 30
    assert kept.log.counts() == (0, 3)
