"""The server as a process: how it starts, what it does with more than it can take, and how it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.functional.serving import PATIENCE, Served, command, environment, free_port, patiently, served
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

LONG = ("INT64", [6_000])  # rounds: most of a second of one thread
SHORT = ("INT64", [1])


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    return models.pack(tmp_path / "slow", models.slow())


def busy(server: Served, pool: ThreadPoolExecutor, requests: int) -> list[Future[httpx.Response]]:
    """Long requests, of which the server has taken in as many as it will."""
    for _ in range(3):
        server.infer(rounds=("INT64", [300]))  # from which it learns that this model is not one for its event loop
    asked = [pool.submit(server.infer, rounds=LONG) for _ in range(requests)]
    for _ in patiently():
        done = sum(each.done() for each in asked)
        if server.metric("in_flight") + done >= requests:
            break
    return asked


def test_it_answers_and_ends_in_good_order(slow: Path) -> None:
    with served(slow, SERVE_GRACE_SECONDS="0") as server:
        assert server.infer(rounds=("INT64", [3, 7])).json()["outputs"][0]["data"] == [3.0, 7.0]
        server.terminate()
        assert server.ended() == 0
        log = server.log.read_text()
    assert "toy " in log
    assert "everything accepted is answered" in log
    assert "Traceback" not in log


def test_sigterm_loses_no_request_that_runs_or_waits(slow: Path) -> None:
    with (
        served(slow, SERVE_GRACE_SECONDS="0", SERVE_THREADS="1", SERVE_QUEUE="8") as server,
        ThreadPoolExecutor() as pool,
    ):
        asked = busy(server, pool, 4)
        server.terminate()
        answers = [each.result() for each in asked]
        assert [answer.status_code for answer in answers] == [200] * 4
        assert [answer.json()["outputs"][0]["data"] for answer in answers] == [[6_000.0]] * 4
        assert server.ended() == 0


def test_in_its_grace_it_answers_and_says_that_it_goes(slow: Path) -> None:
    with served(slow, SERVE_GRACE_SECONDS="600") as server:
        server.terminate()
        for _ in patiently():
            ready = server.http.get("/v2/health/ready")
            if ready.status_code == 503:
                break
        assert ready.headers["connection"] == "close"
        assert server.infer(rounds=SHORT).status_code == 200
        assert health(server.port).returncode == 1
        server.terminate()  # a second time: in a hurry
        assert server.ended() == 0


def test_no_request_fails_where_its_sender_heeds_readiness(slow: Path) -> None:
    """A load balancer sends to a server until it sees that it is not ready; many clients, none of them is failed."""
    with served(slow, SERVE_GRACE_SECONDS="600") as server, ThreadPoolExecutor(8) as pool:

        def client(_: int) -> list[int]:
            codes = []
            with httpx.Client(base_url=server.url, timeout=PATIENCE) as http:
                while http.get("/v2/health/ready").status_code == 200:
                    body = {"inputs": [{"name": "rounds", "shape": [1], "datatype": "INT64", "data": [20]}]}
                    codes.append(http.post("/v2/models/toy/infer", json=body).status_code)
            return codes

        clients = [pool.submit(client, number) for number in range(8)]
        for _ in patiently():
            if server.metric("rows_total") > 200:
                break
        server.terminate()
        codes = [code for each in clients for code in each.result()]
        server.terminate()
        assert server.ended() == 0
    assert len(codes) > 200
    assert set(codes) == {200}


def test_connections_on_which_nothing_happens_do_not_hold_it_back(slow: Path) -> None:
    with served(slow, SERVE_GRACE_SECONDS="0") as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        idle[1].sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200 OK" in idle[1].recv(1000)
        server.terminate()
        assert server.ended() == 0


def test_beyond_its_queue_it_refuses_at_once_and_recovers(slow: Path) -> None:
    with served(slow, SERVE_THREADS="1", SERVE_QUEUE="2") as server, ThreadPoolExecutor(12) as pool:
        asked = busy(server, pool, 3)
        refused = [server.infer(rounds=SHORT) for _ in range(5)]
        assert not any(each.done() for each in asked[1:])  # so all of them came while it was full
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert server.http.get("/v2/health/ready").status_code == 200
        assert [each.result().status_code for each in asked] == [200] * 3
        assert server.infer(rounds=SHORT).status_code == 200


def test_whatever_comes_it_goes_on(slow: Path) -> None:
    """Bytes that are no HTTP, requests that end in the middle, bodies that are too large: none of them is its end."""
    large = b"POST /v2/models/toy/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\n\r\n"
    pieces = (b"\x00\xff" * 500, b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", large)
    with served(slow, SERVE_GRACE_SECONDS="0") as server:
        for piece in pieces:
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", server.port)) as connection:
                    connection.sendall(piece)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(large)
            assert b" 413 " in connection.recv(1000)
        answer = server.http.post("/v2/models/toy/infer", content=os.urandom(9 * 2**20))
        assert answer.status_code == 413
        assert server.infer(rounds=SHORT).status_code == 200
        server.terminate()
        assert server.ended() == 0
        assert "Traceback" not in server.log.read_text()


def test_a_container_asks_it_for_its_health(slow: Path) -> None:
    with served(slow) as server:
        assert health(server.port).returncode == 0
    gone = health(server.port)
    assert (gone.returncode, gone.stderr.partition(":")[0]) == (1, f"nothing answers on port {server.port}")


def test_what_it_cannot_serve_it_says_in_one_sentence(tmp_path: Path) -> None:
    folder = models.pack(tmp_path / "model", models.matrix())
    with (folder / "model.onnx").open("ab") as model:
        model.write(b"\0")
    assert "these are not the bytes that were gated" in refused(folder, free_port())
    assert "serving.json is missing" in refused(tmp_path / "none", free_port())
    assert "SERVE_QUEUE is 'many'" in refused(folder, free_port(), SERVE_QUEUE="many")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "is in use; set HOST and PORT" in refused(folder, other.getsockname()[1])


def refused(folder: Path, port: int, **env: str) -> str:
    """The sentence with which the server does not start."""
    done = subprocess.run(command(), env=environment(folder, port, **env), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ml.serve: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def health(port: int) -> subprocess.CompletedProcess[str]:
    """What a HEALTHCHECK runs."""
    check = [sys.executable, "-m", "ml.serve.health"]
    return subprocess.run(check, env=os.environ | {"PORT": str(port)}, capture_output=True, text=True, check=False)
