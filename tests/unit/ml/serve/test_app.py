"""Each route answers as the server's own OpenAPI document says, and each refusal has its code and its words."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.parser import text_string_to_metric_families

from ml.serve import desk, protocol, web
from ml.serve.app import App, State
from ml.serve.desk import Desk
from ml.serve.errors import Refused
from ml.serve.metrics import Metrics
from ml.serve.model import Model
from ml.serve.runner import Runner
from tests.functional import serving
from tests.unit.ml.serve import models
from tests.unit.ml.serve.rsgi import Exchange, Scope, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

INFER = "/v2/models/toy/infer"


class Toy:
    """An app of the model that sums three columns, with its parts at hand."""

    def __init__(self, folder: Path, model: Model | None = None) -> None:
        self.model = model or Model.load(models.pack(folder, models.matrix()))
        self.state = State()
        self.desk = Desk(places=2, most_bytes=1_000_000)
        self.offered: list[tuple[Any, ...]] = []
        metrics = Metrics(self.model.record, lambda: self.desk.taken)
        self.runner = Runner(self.model, 1, metrics.batched)
        self.app = App(self.model, self.desk, self.runner, metrics, self.state, self.offer)

    def offer(self, *what: Any) -> None:
        self.offered.append(what)

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=Transport(self.app), base_url="http://toy") as client:
            return await client.request(method, path, **how)

    def get(self, path: str, **how: Any) -> httpx.Response:
        return asyncio.run(self.ask("GET", path, **how))

    def post(self, **how: Any) -> httpx.Response:
        return asyncio.run(self.ask("POST", INFER, **how))

    def infer(self, *rows: float, **how: Any) -> httpx.Response:
        return self.post(json=asking(*rows), **how)

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Values by name and the labels beside model and version."""
        text = self.get("/metrics").text
        return {
            (
                sample.name,
                *(value for label, value in sorted(sample.labels.items()) if label not in {"model", "version"}),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Toy]:
    toy = Toy(tmp_path)
    yield toy
    toy.runner.close()


def asking(*rows: float) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": name, "shape": [len(rows)], "datatype": "FP64", "data": list(rows)} for name in models.COLUMNS
        ]
    }


def test_scores(toy: Toy) -> None:
    answer = toy.post(json={"id": "seven", **asking(1, 2.5)})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "model_name": "toy",
        "model_version": toy.model.record.version,
        "id": "seven",
        "outputs": [{"name": "score", "shape": [2], "datatype": "FP64", "data": [3.0, 7.5]}],
    }


def test_a_column_that_two_inputs_take(tmp_path: Path) -> None:
    toy = Toy(tmp_path, Model.load(models.pack(tmp_path, models.shared())))
    for rows in (1, 2):
        message = serving.asking(**{name: ("FP32", [at + 1] * rows) for at, name in enumerate(models.COLUMNS)})
        assert toy.post(json=message).json()["outputs"][0]["data"] == [1 + 2 + 100 * (2 + 3)] * rows
        columns = toy.offered.pop()[0].columns
        assert list(columns) == list(toy.model.columns)
        assert columns.lists(0, rows) == [[1] * rows, [2] * rows, [3] * rows]
    toy.runner.close()


def test_what_the_server_says_of_itself(toy: Toy) -> None:
    tensors = [{"name": name, "datatype": "FP32", "shape": [-1]} for name in models.COLUMNS]
    version, found = toy.model.record.version, toy.get("/v2/models/toy").json()
    assert found.pop("parameters")["lock_hash"] == "d" * 64
    assert found == {
        "name": "toy",
        "versions": [version],
        "platform": "onnx_onnxv1",
        "inputs": tensors,
        "outputs": [{"name": "score", "datatype": "FP64", "shape": [-1]}],
    }
    assert toy.get("/v2").json()["name"] == "trunkline"
    assert toy.get("/v2/").json() == toy.get("/v2").json()
    assert toy.get("/v2/health/live").json() == {"live": True}
    assert toy.get("/v2/health/ready").json() == {"ready": True}
    assert toy.get("/v2/models/toy/ready").json() == {"name": "toy", "ready": True}


@pytest.mark.parametrize(
    ("method", "path", "code", "words"),
    [
        ("GET", "/", 404, "there is nothing at this path"),
        ("GET", "/v2/models", 404, "there is nothing at this path"),
        ("GET", "/v2/health/ready/", 404, "there is nothing at this path"),
        ("GET", "/v2/models/toy/versions/1", 404, "there is no version '1' of 'toy' here; this server has"),
        ("GET", "/v2/models/Toy", 404, "there is no model 'Toy' here; this server has 'toy'"),
        ("GET", "/v2/models/other/ready", 404, "there is no model 'other' here"),
        ("POST", "/v2/models/other/infer", 404, "there is no model 'other' here"),
        ("GET", INFER, 405, "this path takes POST alone"),
        ("DELETE", INFER, 405, "this path takes POST alone"),
        ("POST", "/v2/health/ready", 405, "this path takes GET, HEAD alone"),
    ],
)
def test_a_place_that_is_none(method: str, path: str, code: int, words: str, toy: Toy) -> None:
    answer = asyncio.run(toy.ask(method, path, json={}))
    assert (answer.status_code, answer.json()["error"][: len(words)]) == (code, words)
    assert ("allow" in answer.headers) == (code == 405)


def test_a_body_that_is_not_what_is_taken(toy: Toy) -> None:
    for headers, words in (
        (
            {"content-type": "text/csv"},
            "the content type is 'text/csv'; send application/json, or application/octet-",
        ),
        ({"content-encoding": "gzip"}, "the content encoding is 'gzip'; send the body as it is"),
    ):
        answer = toy.infer(1, headers=headers)
        assert (answer.status_code, answer.json()["error"][: len(words)]) == (415, words)
    assert toy.post(content=orjson.dumps(asking(1))).status_code == 200
    assert toy.infer(1, headers={"content-type": "application/json; charset=utf-8"}).status_code == 200
    assert toy.post(content=b"{").status_code == 400


def test_a_body_that_is_too_large(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_BODY", 1000)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b" " * 300

    for content in (b" " * 1001, chunks()):
        answer = toy.post(content=content)
        assert (answer.status_code, answer.json()["error"]) == (
            413,
            "the body is larger than 1,000 bytes; send the rows in parts",
        )
    assert toy.post(content=b" " * 1000).status_code == 400
    assert toy.desk.held_bytes == 0


def test_too_many_bytes_of_all_bodies_together(toy: Toy) -> None:
    async def crowd() -> list[httpx.Response]:
        place = toy.desk.enter()
        toy.desk.hold(place, 999_900)
        refused = await toy.ask("POST", INFER, content=b" " * 20_000)
        toy.desk.leave(place)
        return [refused, await toy.ask("POST", INFER, content=b" " * 20_000)]

    refused, taken = asyncio.run(crowd())
    assert (refused.status_code, refused.headers["retry-after"], taken.status_code) == (503, "1", 400)
    assert "requests hold 999,900 bytes already" in refused.json()["error"]
    assert toy.desk.held_bytes == 0


def test_too_many_requests_at_once(toy: Toy) -> None:
    async def crowd() -> list[httpx.Response]:
        places = [toy.desk.enter() for _ in range(2)]
        refused = [await toy.ask("POST", INFER, json=asking(1)) for _ in range(2)]
        toy.desk.leave(places[0])
        return [*refused, await toy.ask("POST", INFER, json=asking(1))]

    answers = asyncio.run(crowd())
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "1"
    assert answers[0].json()["error"] == "2 requests are waiting or being answered; try again in a second"


@pytest.mark.parametrize("headers", [{}, {"content-length": "5"}])
def test_a_body_that_does_not_come(headers: dict[str, str], toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "BODY_SECONDS", 0.01)
    code, body = asyncio.run(raw(toy, stalling(b"{"), headers))
    assert (code, body["error"]) == (408, "the body did not come within 0.01 seconds; send it whole")
    assert (toy.desk.held_bytes, toy.desk.taken) == (0, 0)


@pytest.mark.parametrize("headers", [{}, {"content-length": "5"}])
def test_a_sender_who_goes_away(headers: dict[str, str], toy: Toy) -> None:
    asyncio.run(raw(toy, broken(b"{"), headers))
    assert (toy.desk.held_bytes, toy.desk.taken) == (0, 0)
    assert toy.metrics()["trunkline_serve_requests_total", "499", "infer"] == 1


def test_scores_that_no_number_can_say(toy: Toy) -> None:
    answer = toy.infer(1, 3e38)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("the score of row 1 is not finite")


def test_a_fault_of_the_server_itself(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(toy.model, "run", fail)
    with caplog.at_level(logging.ERROR):
        answer = toy.infer(1, 2)
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "the server failed on this request; its log says where"},
    )
    assert "secret detail" in caplog.text
    assert toy.desk.taken == 0


def test_a_refusal_does_not_hold_on_to_what_was_parsed(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    class Parsed:
        """Something large."""

    held: list[weakref.ref[Parsed]] = []

    def refuse(*_: Any) -> None:
        parsed = Parsed()
        held.append(weakref.ref(parsed))
        raise Refused(400, "no")

    monkeypatch.setattr(protocol, "question", refuse)
    gc.disable()
    try:
        assert toy.infer(1, 2).status_code == 400
        assert toy.infer(*range(3000)).status_code == 400
        assert [each() for each in held] == [None, None]
    finally:
        gc.enable()


def test_while_draining_it_answers_and_sends_everyone_elsewhere(toy: Toy) -> None:
    assert "connection" not in toy.infer(1).headers
    toy.state.draining = True
    for path in ("/v2/health/ready", "/v2/models/toy/ready"):
        answer = toy.get(path)
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert toy.get("/v2/health/live").status_code == 200
    for answer in (toy.infer(1), toy.get("/nowhere"), toy.post(content=b"{")):
        assert answer.headers["connection"] == "close"
    assert toy.infer(1).status_code == 200


def test_metrics_count_what_was_answered(toy: Toy) -> None:
    before = toy.metrics()
    assert [before["trunkline_serve_requests_total", code, "infer"] for code in ("200", "400", "500", "503")] == [0] * 4
    toy.infer(1, 2, 3)
    toy.infer(4)
    toy.post(content=b"{")
    toy.get("/no/such/path")
    toy.get("/another")
    found = toy.metrics()
    assert found["trunkline_serve_requests_total", "200", "infer"] == 2
    assert found["trunkline_serve_requests_total", "400", "infer"] == 1
    assert found["trunkline_serve_requests_total", "404", "none"] == 2
    assert found["trunkline_serve_rows_total",] == 4
    assert found["trunkline_serve_request_seconds_count",] == 2
    assert found["trunkline_serve_in_flight",] == 0
    assert found["trunkline_serve_model_info", "c" * 40, "d" * 64, toy.model.record.model_hash] == 1
    assert found["process_resident_memory_bytes",] > 0


def test_metrics_tell_of_scores_and_of_what_requests_lack(tmp_path: Path) -> None:
    folder = models.pack(tmp_path, models.mixed(), categories={"kind": ["x", "y"]})
    toy = Toy(tmp_path, Model.load(folder))
    columns: dict[str, tuple[str, list[Any]]] = {
        "single": ("FP32", [0.25, 0]),
        "wide": ("FP64", [0, 0.5]),
        "whole": ("INT64", [1, 1]),
    }

    def ask(*kinds: Any, rows: int = 2) -> int:
        data = {name: (kind, values[:rows]) for name, (kind, values) in columns.items()}
        message = serving.asking(**data, kind=("BYTES", [*kinds]))
        return toy.post(json=message).status_code

    assert [ask("x", "new"), ask("newer", rows=1), ask(None, "x"), ask("x", None)] == [200, 200, 400, 400]
    found = toy.metrics()
    assert found["trunkline_serve_unseen_total", "kind"] == 2
    assert found["trunkline_serve_missing_total", "kind"] == 2
    assert found["trunkline_serve_rows_total",] == 3
    assert found["trunkline_serve_score_count",] == 2, "a request's rows are one witness"
    assert found["trunkline_serve_score_sum",] in (0.25 + 1.25, 1.5 + 1.25)
    assert found["trunkline_serve_score_bucket", "+Inf"] == 2
    assert found["trunkline_serve_batch_rows_sum",] == 3
    toy.runner.close()


def test_paths_of_others_making_do_not_become_labels(toy: Toy) -> None:
    toy.get("/metrics")
    before = len(toy.metrics())
    for number in range(20):
        toy.get(f"/{number}")
        asyncio.run(toy.ask("POST", f"/v2/models/{number}/infer", json={}))
        asyncio.run(toy.ask(f"M{number}", INFER))
    assert len(toy.metrics()) <= before + 3 * 2  # each code's counter, and when it was made


def test_openmetrics_where_the_scraper_asks(toy: Toy) -> None:
    answer = toy.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_the_description_is_valid_and_answers_keep_to_it(toy: Toy) -> None:
    document = toy.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    seen = {}
    for path, methods in document["paths"].items():
        bodies = [asking(1), asking(1, 3e38), asking(*range(10_001)), {}] if "post" in methods else [None]
        for draining in (False, True):
            toy.state.draining = draining
            for body in bodies:
                method = next(iter(methods))
                answer = asyncio.run(toy.ask(method.upper(), path, json=body))
                promised = methods[method]["responses"][str(answer.status_code)]["content"]
                if path != "/metrics":
                    schema = promised["application/json"]["schema"] | {"components": document["components"]}
                    Draft202012Validator(schema).validate(answer.json())
                seen[path, answer.status_code] = True
    assert {code for path, code in seen if path == INFER} == {200, 400, 413, 422}
    assert {code for path, code in seen if path.endswith("ready")} == {200, 503}


def test_the_description_takes_what_the_server_takes(toy: Toy) -> None:
    document = toy.get("/openapi.json").json()
    described = document["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]["schema"]
    valid = Draft202012Validator(described | {"components": document["components"]})
    changes: list[dict[str, Any]] = [
        {},
        {"shape": [1, 1], "data": [[1]]},
        {"datatype": "BOOL", "data": [True]},
        {"datatype": "BYTES"},
        {"shape": [1, 2]},
        {"shape": [0], "data": []},
        {"data": [None]},
        {"data": ["1"]},
        {"name": "d"},
        {"more": 1},
        {"parameters": None},
    ]
    for change in changes:
        message = asking(1)
        message["inputs"][2] |= change
        assert valid.is_valid(message) == (toy.post(json=message).status_code == 200), change
    for message in ({}, {"inputs": []}, {**asking(1), "id": 1}, {**asking(1), "outputs": [{"name": "x"}]}):
        assert not valid.is_valid(message)
        assert toy.post(json=message).status_code == 400
    record = toy.model.record
    optional = (
        {"model_name": record.model, "model_version": record.version},
        {"model_name": "another"},
        {"model_version": "another"},
        {"outputs": [{"name": "score", "parameters": None}]},
        dict.fromkeys(sorted(protocol.KEYS - {"inputs"})),
    )
    for more in optional:
        message = asking(1) | more
        assert valid.is_valid(message) == (toy.post(json=message).status_code == 200), more


async def raw(toy: Toy, parts: AsyncIterator[bytes], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """The answer to a request whose body comes in these parts."""
    exchange = Exchange(parts)
    await toy.app.__rsgi__(Scope("POST", INFER, httpx.Headers(headers)), exchange)
    assert exchange.answer is not None
    return exchange.answer[0], orjson.loads(exchange.answer[2] or b"{}")


async def stalling(*parts: bytes) -> AsyncIterator[bytes]:
    """These parts, and then nothing more."""
    for part in parts:
        yield part
    await asyncio.get_running_loop().create_future()


async def broken(*parts: bytes) -> AsyncIterator[bytes]:
    """These parts, and then its sender is gone."""
    for part in parts:
        yield part
    raise web.GONE[1]
