"""The inference log of a server as a process: what is in it when the server has ended, is killed, or cannot write."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.functional.serving import Served, asking, free_port, patiently, served
from tests.unit.ml.serve import models, stores
from tests.unit.ml.serve.collector import attributes, collecting

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return models.pack(tmp_path / "model", models.mixed(), sensitive={"single": "drop"})


def columns(kind: str, *wide: float) -> dict[str, tuple[str, list[Any]]]:
    rows = len(wide)
    return {
        "single": ("FP32", [0.5] * rows),
        "wide": ("FP64", list(wide)),
        "whole": ("INT64", [1] * rows),
        "kind": ("BYTES", [kind] * rows),
    }


def ask(server: Served, name: str, *wide: float) -> list[float]:
    """The scores of a request that has an id."""
    answer = server.http.post("/v2/models/toy/infer", json={"id": name, **asking(**columns("y", *wide))})
    assert answer.status_code == 200, answer.text
    scores: list[float] = answer.json()["outputs"][0]["data"]
    return scores


def read(log: Path) -> pl.DataFrame:
    return pl.read_parquet(f"{log}/**/*.parquet")


def writer_of(server: Served) -> int:
    """The process that stores what a server logs."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return int(children[0])


def test_what_was_answered_is_in_it_when_the_server_has_ended(folder: Path, tmp_path: Path) -> None:
    with served(folder, SERVE_GRACE_SECONDS="0", SERVE_LOG=str(tmp_path / "log"), SERVE_TRACK="canary") as server:
        scores = {name: ask(server, name, 0.25, 1.5) for name in ("one", "two", "three")}
        assert server.infer("toy", wide=("FP64", [1.0])).status_code == 400
        unnamed = server.infer("toy", **columns("x", 9.5)).json()
        server.terminate()
        assert server.ended() == 0
    found = read(tmp_path / "log").sort("request_id", "row")
    assert found["features"].struct.fields == ["wide", "whole", "kind"]
    assert set(found["track"]) == {"canary"}
    for name, answered in scores.items():
        assert found.filter(pl.col("request_id") == name)["score"].to_list() == answered
    assert found.filter(pl.col("request_id") == unnamed["id"])["score"].to_list() == unnamed["outputs"][0]["data"]
    assert found.height == 7


def test_labels_join_it_when_they_come(folder: Path, tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with served(folder, SERVE_LOG=log, SERVE_LOG_SECONDS="1") as server:
        for number in range(4):
            ask(server, f"order-{number}", number)
        for _ in patiently():  # it is stored while the server runs
            if server.metric("log_written_total") == 4:
                break
        assert server.metric("log_dropped_total") == 0
        known = pl.DataFrame({"request_id": ["order-1", "order-3"], "row": [0, 0], "label": [0, 1]})
        rows = pl.scan_parquet(f"{log}/**/*.parquet", hive_partitioning=True).cast({"row": pl.Int64})
        joined = rows.join(known.lazy(), on=["request_id", "row"]).sort("request_id").collect()
    assert joined["label"].to_list() == [0, 1]
    assert joined["score"].to_list() == [2.5, 4.5]


def test_a_kill_leaves_whole_files_alone(folder: Path, tmp_path: Path) -> None:
    log, asked = tmp_path / "log", 0
    with served(folder, SERVE_LOG=str(log), SERVE_LOG_SECONDS="1") as server:
        writer = writer_of(server)
        for _ in patiently():
            ask(server, f"{asked}", *range(200))
            asked += 1
            if len([*log.rglob("*.parquet")]) >= 2:
                break
        os.kill(writer, signal.SIGKILL)
        server.process.kill()
    found = read(log)
    assert found.group_by("request_id").len()["len"].unique().to_list() == [200]
    assert found["request_id"].n_unique() <= asked


def test_what_a_killed_server_had_handed_on_is_stored(folder: Path, tmp_path: Path) -> None:
    with served(folder, SERVE_LOG=str(tmp_path / "log")) as server:
        writer = writer_of(server)
        before = _read_by(writer)
        ask(server, "one", 1.0)
        for _ in patiently():
            if _read_by(writer) > before:
                break
        server.process.kill()
        for _ in patiently():
            if not Path(f"/proc/{writer}").exists():
                break
    assert read(tmp_path / "log")["request_id"].to_list() == ["one"]


def test_a_store_that_never_answers_costs_rows_and_no_request(folder: Path, tmp_path: Path) -> None:
    path = f"{stores.stuck(tmp_path / 'site')}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    with served(folder, SERVE_LOG="stuck://log", SERVE_LOG_MIB="1", SERVE_LOG_SECONDS="1", PYTHONPATH=path) as server:
        writer = writer_of(server)
        for _ in patiently():
            assert len(ask(server, "a", *range(2_000))) == 2_000
            if server.metric("log_dropped_total"):
                break
        assert server.metric("log_written_total") == 0
        assert server.http.get("/v2/health/ready").status_code == 200
    os.kill(writer, signal.SIGKILL)  # which would leave 20 seconds after its server


def test_a_log_that_cannot_be_is_told_before_anything_is_served(folder: Path, tmp_path: Path) -> None:
    server = Served(folder, free_port(), SERVE_LOG="nosuch://host/log")
    assert server.ended() == 1
    assert "SERVE_LOG is nosuch://host/log, which nothing installed here can write to" in server.log.read_text()
    server.http.close()


def test_a_request_is_a_span_where_the_environment_asks(folder: Path) -> None:
    with collecting() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "SERVE_GRACE_SECONDS": "0"}
        with served(folder, **env) as server:
            body = asking(**columns("y", 1.0, 2.0))
            server.http.post("/v2/models/toy/infer", json=body, headers={"traceparent": PARENT})
            server.http.post("/v2/models/toy/infer", json={})
            server.terminate()
            assert server.ended() == 0
        scored, refused = collector.spans
    assert scored.trace_id.hex() == PARENT.split("-")[1]
    assert scored.end_time_unix_nano > scored.start_time_unix_nano
    told = [
        (attributes(each)["http.response.status_code"], attributes(each)["trunkline.rows"])
        for each in (scored, refused)
    ]
    assert told == [(200, 2), (400, 0)]


def _read_by(process: int) -> int:
    """Bytes that a process has read so far."""
    return int(Path(f"/proc/{process}/io").read_text().split()[1])
