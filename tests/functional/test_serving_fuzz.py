"""Whatever comes, the server answers with a code of its own description or closes: no 5xx but 503, no hang, no leak."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_url
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.functional.serving import asking, patiently, served
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.serving import Served

CASES = 300  # connections with random bytes
EXAMPLES = 8  # requests per operation and mode
GROWTH = 32 * 2**20
GOOD = orjson.dumps(asking(single=("FP32", [1.5]), wide=("FP64", [2]), whole=("INT64", [3]), kind=("BYTES", ["x"])))
HEADS = (
    b"POST /v2/models/toy/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n",
    b"POST /v2/models/toy/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n",
    b"POST /v2/models/toy/infer HTTP/1.1\r\nInference-Header-Content-Length: 9\r\ncontent-length: %d\r\n\r\n",
    b"POST /v2/models/toy/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nx: %d\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nhost: x\r\naccept: x\r\nx: %d\r\n\r\n",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = models.pack(tmp_path_factory.mktemp("mixed"), models.mixed())
    with served(folder, SERVE_GRACE_SECONDS="0") as server:
        yield server


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_requests_made_of_its_own_description(mode: schemathesis.GenerationMode, server: Served) -> None:
    schema = from_url(f"{server.url}/openapi.json")
    checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
    seen = set()
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if mode is schemathesis.GenerationMode.NEGATIVE and operation.method != "post":
            continue  # there is nothing about these that could be wrong

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            answer = case.call()
            seen.add(answer.status_code)
            case.validate_response(answer, checks=checks)

        ask()
    assert (200 if mode is schemathesis.GenerationMode.POSITIVE else 400) in seen
    assert seen <= {200, 400, 408, 413, 415, 422, 503}
    assert server.metric("in_flight") == 0


def test_random_bytes(server: Served) -> None:
    dice = random.Random(4)
    before = state(server)
    for _ in range(CASES):
        assert code(server, random_bytes(dice), dice.random() < 0.5) in {None, *range(200, 500), 503}
    assert server.http.post("/v2/models/toy/infer", content=GOOD).status_code == 200
    for _ in patiently():
        after = state(server)
        if after["in_flight"] == 0 and after["open_fds"] <= before["open_fds"] + 2:
            break
    assert after["resident_memory_bytes"] - before["resident_memory_bytes"] < GROWTH
    assert "Traceback" not in server.log.read_text()


def state(server: Served) -> dict[str, float]:
    held = {name: server.process_metric(name) for name in ("open_fds", "resident_memory_bytes")}
    return {"in_flight": server.metric("in_flight"), **held}


def random_bytes(dice: random.Random) -> bytes:
    """A request in which something may be wrong anywhere: its length, its head, its body, or all of it."""
    body = bytearray(GOOD)
    for _ in range(dice.choice((0, 1, 1, 3, 30))):
        place = dice.randrange(len(body))
        body[place : place + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
    head = dice.choice(HEADS) % max(0, len(body) + dice.choice((0, 0, 0, -1, 1, -9, 1000)))
    whole = bytearray(head + body)
    if dice.random() < 0.4:
        place = dice.randrange(len(head))
        whole[place : place + dice.randrange(4)] = dice.randbytes(dice.randrange(4))
    if dice.random() < 0.1:
        whole = bytearray(dice.randbytes(dice.randrange(1, 500)))
    return bytes(whole[: dice.randrange(1, len(whole) + 1)]) if dice.random() < 0.2 else bytes(whole)


def code(server: Served, sent: bytes, ends: bool) -> int | None:
    """The first answer's code; None where there is none before the sender goes."""
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        link.settimeout(0.02)
        try:
            link.sendall(sent)
            if ends:
                link.shutdown(socket.SHUT_WR)
            answer = link.recv(1000)
        except OSError:  # a reset, or no answer: a body that is still to come is waited for
            return None
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else None


def test_slow_bodies_hold_nobody_up(server: Served) -> None:
    head = HEADS[0] % (2**20)
    links: list[Any] = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    try:
        for link in links:
            link.sendall(head + b" " * 1000)
        for _ in patiently():  # at first they hold all places; soon they hold none
            answer = server.http.post("/v2/models/toy/infer", content=GOOD)
            if answer.status_code == 200:
                break
            assert answer.status_code == 503
    finally:
        for link in links:
            link.close()
    for _ in patiently():
        if server.metric("in_flight") == 0:
            break
