"""What hinders MLflow is told in words, soon, and without secrets; what makes its database is whole or not at all."""

from __future__ import annotations

import http.server
import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters import mlflow_door as door
from ci.adapters.mlflow import OWNER, Models, Runs
from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(door, "LOCKED_FOR", 0.1)
    monkeypatch.setattr(door, "WAITS", (0.01,))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@contextmanager
def server(status: int, body: bytes = b"{}") -> Iterator[str]:
    """A server that gives one answer to everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - as http.server names them

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{running.server_port}"
        running.shutdown()


def said(root: Path) -> str:
    with pytest.raises(EnvironmentFault) as fault:
        Models(root).aliases("a")
    return fault.value.message


def database(root: Path) -> Path:
    path = root / ".trunkline" / "mlflow.db"
    path.parent.mkdir(exist_ok=True)
    return path


def test_what_a_killed_run_left_of_the_database_is_not_taken_for_it(tmp_path: Path) -> None:
    part = database(tmp_path).with_name(".mlflow.db.part")
    part.write_bytes(b"the first half of some tables")
    assert Models(tmp_path).aliases("a") == {}
    assert not part.exists()
    assert sqlite3.connect(database(tmp_path)).execute("SELECT count(*) FROM registered_models").fetchone() == (0,)


def test_a_run_killed_while_it_makes_the_database_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Models, uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"the first half of some tables")
        raise KeyboardInterrupt

    monkeypatch.setattr(Models, "_opened", killed)
    with pytest.raises(KeyboardInterrupt):
        Models(tmp_path).aliases("a")
    assert not database(tmp_path).exists()


def test_a_locked_database_is_told_with_who_to_ask(tmp_path: Path) -> None:
    holder = sqlite3.connect(database(tmp_path), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert "mlflow.db cannot be written: database is locked; end the program that holds it" in said(tmp_path)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    database(tmp_path).write_text("not a database at all, but text that is longer than a header of one would be")
    assert "is not MLflow's database (file is not a database); move it away" in said(tmp_path)


def test_a_database_locked_while_it_is_in_use_is_told_after_the_wait_that_sqlite_made(root: Path) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

    asked = []

    def call() -> None:
        asked.append(call)
        raise MlflowException("database is locked [SQL: INSERT INTO secrets]", TEMPORARILY_UNAVAILABLE)

    with pytest.raises(EnvironmentFault, match="database is locked; end the program that holds it") as fault:
        Models(root).ask(call)
    assert len(asked) == 1
    assert "INSERT" not in fault.value.message


@pytest.mark.parametrize("uri", ["http://dana:hunter2@127.0.0.1:9", "postgresql://dana:hunter2@127.0.0.1:9/mlflow"])
def test_a_server_that_is_not_there_is_told_without_the_password(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    words = said(tmp_path)
    assert "127.0.0.1:9" in words
    assert "see that it runs and that MLFLOW_TRACKING_URI names it" in words
    assert "hunter2" not in words


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://user:pa/ss@host/db", "postgresql://host/db"),
        ("postgresql://user:p@ss@host:5432/db?sslpassword=hidden", "postgresql://host:5432/db"),
        ("https://token@host/mlflow", "https://host/mlflow"),
        ("https://host/mlflow?password=hidden", "https://host/mlflow"),
        ("https://host?token=hid@den", "https://..."),
        ("https://user:pa?ss@host/mlflow", "https://..."),
        ("sqlite:////home/a@b/mlflow.db?mode=ro", "sqlite:////home/a@b/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_no_part_of_a_login_or_a_query_is_shown(
    uri: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert Models(tmp_path).shown == shown


@pytest.mark.parametrize(
    "error",
    [
        "no driver for postgresql://user:p@hunter2@host/db",
        'could not translate host name "hunter2@host" to address',
        "invalid port: 'hunter2'",
        "cannot open /api?token=hunter2",
    ],
)
def test_what_a_driver_quotes_of_a_password_is_not_shown(
    error: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:p@hunter2@host/db")
    words = Models(root)._fault(ValueError(error)).message
    assert "MLflow at postgresql://host/db does not answer" in words
    assert "hunter2" not in words


def test_a_server_that_is_down_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(503) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{address}")
        assert f"MLflow at http://{address} does not answer" in said(tmp_path)


def test_a_refused_token_is_told_with_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}') as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{address}")
        assert "give MLFLOW_TRACKING_TOKEN" in said(tmp_path)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("TEMPORARILY_UNAVAILABLE", "busy"),
        # A row that another wrote first, as each database says it:
        ("BAD_REQUEST", "(sqlite3.IntegrityError) UNIQUE constraint failed: params.key, params.run_uuid"),
        ("BAD_REQUEST", '(psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "param_pk"'),
        ("BAD_REQUEST", "(pymysql.err.IntegrityError) (1062, \"Duplicate entry 'a-1' for key 'params.PRIMARY'\")"),
    ],
)
def test_what_passes_by_itself_is_asked_for_again(root: Path, code: str, said: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ErrorCode

    answers = iter([MlflowException(said, ErrorCode.Value(code)), "there"])

    def call() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert Models(root).ask(call) == "there"


def test_a_deleted_experiment_is_told_with_how_to_get_it_back(root: Path) -> None:
    runs = Runs(root)
    run_id, ended = runs.of("a", "key", "x", name="x")
    assert not ended
    runs.client.delete_experiment(runs.client.get_run(run_id).info.experiment_id)
    with pytest.raises(EnvironmentFault, match="experiment 'a' was deleted in MLflow at"):
        runs.of("a", "key", "x", name="x")


def test_a_run_is_found_again_and_a_finished_one_first(root: Path) -> None:
    runs = Runs(root)
    one, _ = runs.of("a", "key", "its", name="one")
    assert runs.of("a", "key", "its", name="one") == (one, False)
    experiment = runs.client.get_run(one).info.experiment_id
    two = runs.client.create_run(experiment, tags={"key": "its"}).info.run_id
    assert runs.of("a", "key", "its", name="one") == (one, False)
    assert runs.keys("a", "key") == {}
    runs.finish(two)
    assert runs.of("a", "key", "its", name="one") == (two, True)
    assert runs.keys("a", "key") == {"its": two}
    runs.drop(two)
    runs.drop("0" * 32)
    assert runs.keys("a", "key") == {}


def test_what_another_machine_has_begun_is_left_to_it_until_one_is_kept(root: Path) -> None:
    runs = Runs(root)
    one, _ = runs.of("a", "key", "its", name="one")
    client, experiment = runs.client, runs.client.get_run(one).info.experiment_id
    client.set_tag(one, OWNER, "elsewhere:/checkout")
    two, ended = runs.of("a", "key", "its", name="two")
    assert (two != one, ended) == (True, False)
    assert runs.of("a", "key", "its", name="two") == (two, False)
    another, _ = runs.of("a", "key", "other", name="another")
    runs.keep_only("a", "key", "its", two)
    assert {run.info.run_id for run in client.search_runs([experiment])} == {two, another}


def test_more_than_one_request_holds_is_logged(root: Path) -> None:
    from ci.core.registered import Point

    runs = Runs(root)
    run_id, _ = runs.of("a", "key", "x", name="x")
    points = [Point(name="loss/train", value=float(step), step=step) for step in range(1_500)]
    params = {f"p{n}": str(n) for n in range(150)}
    for _ in range(2):
        runs.log(run_id, params=params, points=points, tags={f"t{n}": "x" for n in range(150)})
    found = runs.client.get_run(run_id).data
    assert found.params == params
    assert len(found.tags) >= 150
    assert len(runs.client.get_metric_history(run_id, "loss/train")) == 1_500
    assert runs.metrics(run_id) == {"loss/train": 1_499.0}
    assert runs.metrics("0" * 32) == {}


@pytest.mark.parametrize("what", ["params", "tags", "points"])
def test_what_another_machine_logs_at_the_same_moment_is_found_there(root: Path, what: str) -> None:
    """Between MLflow's look at what there is and its own write: the database refuses the same row twice."""
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    from ci.core.registered import Point

    runs = Runs(root)
    run_id, _ = runs.of("a", "key", "x", name="x")
    told: dict[str, Any] = {"params": {}, "tags": {}, "points": []}
    told |= {what: [Point(name="loss", value=0.5, step=1)] if what == "points" else {"depth": "3", "width": "2"}}
    others: list[str] = []

    def meanwhile(session: Session, *_: object) -> None:
        if not others and session.new:
            others.append(what)
            Runs(root).log(run_id, **told)

    event.listen(Session, "before_flush", meanwhile)
    try:
        runs.log(run_id, **told)
    finally:
        event.remove(Session, "before_flush", meanwhile)
    assert others
    found = runs.client.get_run(run_id).data
    assert found.params == told["params"]
    assert found.tags.items() >= told["tags"].items()
    assert len(runs.client.get_metric_history(run_id, "loss")) == len(told["points"])


def test_artifacts_that_cannot_be_kept_are_told(root: Path) -> None:
    runs = Runs(root)
    run_id, _ = runs.of("a", "key", "x", name="x")
    (root / "made").mkdir()
    (root / "made" / "file").touch()
    (root / ".trunkline" / "mlartifacts").write_text("in the way")
    with pytest.raises(EnvironmentFault, match=f"the artifacts of run {run_id} cannot be kept"):
        runs.keep(run_id, root / "made")
