"""The HTTP surface: what there is at which path, and the way of a request for scores through desk and model."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.serve import VERSION, binary, openapi, protocol, web
from ml.serve.errors import Refused
from ml.serve.quick import Quick
from ml.serve.single import single
from ml.serve.web import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from numpy.typing import NDArray

    from ml.serve.desk import Desk
    from ml.serve.inferences import Asked, Scores
    from ml.serve.metrics import Metrics
    from ml.serve.model import Model
    from ml.serve.protocol import Question
    from ml.serve.quick import Row
    from ml.serve.runner import Runner
    from ml.serve.traces import Traces
    from ml.serve.web import Exchange, Scope

    Offer = Callable[[Asked, Scores, float, int], None]

log = logging.getLogger("ml.serve")


@dataclass
class State:
    """Whether the server asks its callers to go elsewhere."""

    draining: bool = False


@dataclass(frozen=True)
class Route:
    """What is at a path: its name in metrics, how it is asked, and what does it."""

    name: str
    method: str
    does: Callable[[Scope, Exchange], Awaitable[Reply]]


class App:
    """The endpoints of one model, as an RSGI application.

    Each answered request for scores is offered to `offer`: what it asked, its scores [n], when it came in seconds
    since 1970, and the bytes of its body. That is called in the event loop, after the answer is handed over,
    and must cost next to nothing. `traces` are told of every request for scores, refused ones too.
    """

    def __init__(
        self,
        model: Model,
        desk: Desk,
        runner: Runner,
        metrics: Metrics,
        state: State,
        offer: Offer | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._model = model
        self._record = model.record
        self._desk = desk
        self._runner = runner
        self._metrics = metrics
        self._state = state
        self._offer = offer
        self._traces = traces
        self._quick = Quick(model)
        self._single = single(model, self._quick)
        self._routes = self._paths()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        begun, received = time.perf_counter(), time.time()
        route = self._routes.get(scope.path)
        try:
            if route is None:
                name, reply = "none", web.nowhere(scope.path, self._record)
            elif scope.method != route.method and not (scope.method == "HEAD" and route.method == "GET"):
                allowed = "GET, HEAD" if route.method == "GET" else route.method
                name, reply = "none", web.refusal(405, f"this path takes {allowed} alone", ("allow", allowed))
            else:
                name, reply = route.name, await route.does(scope, exchange)
        except Refused as refused:
            name, reply = route.name if route else "none", web.refusal(refused.code, refused.words)
            self._metrics.missing(refused.missing)
        except web.GONE:
            name, reply = "infer", Reply(499, b"", [])  # counted, though nobody is left to be answered
        except Exception:
            name = route.name if route else "none"
            log.exception("%s failed", name)
            reply = web.refusal(500, "the server failed on this request; its log says where")
        self._metrics.answered(name, reply.code)
        headers = reply.headers
        if self._state.draining:  # each caller's next request is to find another server
            headers = [*headers, ("connection", "close")]
        exchange.response_bytes(reply.code, headers, reply.content)
        if isinstance(reply, Scored):
            self._metrics.scored(reply.scores, time.perf_counter() - begun)
            self._metrics.unseen(reply.unseen)
            if self._offer:
                self._offer(reply.asked, reply.scores, received, reply.size)
        if self._traces and name == "infer":
            rows = len(reply.scores) if isinstance(reply, Scored) else 0
            self._traces.tell(
                scope.headers, began=received, seconds=time.perf_counter() - begun, code=reply.code, rows=rows
            )

    def _paths(self) -> dict[str, Route]:
        columns, matrices = self._model.columns.values(), self._model.matrices
        about = {"name": "trunkline", "version": VERSION, "extensions": [binary.EXTENSION]}
        server = Route("server", "GET", _fixed(about))
        ready = Route("model_ready", "GET", self._ready)
        metadata = Route("model", "GET", _fixed(protocol.metadata(self._record, columns, matrices)))
        infer = Route("infer", "POST", self._infer)
        model = f"/v2/models/{self._record.model}"
        version = f"{model}/versions/{self._record.version}"
        return {
            **{f"{path}/infer": infer for path in (model, version)},
            **{f"{path}/ready": ready for path in (model, version)},
            **dict.fromkeys((model, version), metadata),
            **dict.fromkeys(("/v2", "/v2/"), server),
            "/v2/health/live": Route("live", "GET", _fixed({"live": True})),
            "/v2/health/ready": Route("ready", "GET", self._ready),
            "/metrics": Route("metrics", "GET", self._exposition),
            "/openapi.json": Route("openapi", "GET", _fixed(openapi.description(self._record, columns, matrices))),
        }

    async def _infer(self, scope: Scope, exchange: Exchange) -> Reply:
        place = self._desk.enter()  # before the body is read: a full server says so at once
        try:
            headers = scope.headers
            header, length = web.header_length(headers), web.body_length(headers)
            small = length is not None and length <= web.SMALL
            try:
                body = await (exchange() if small else web.large_body(exchange, length, self._desk, place))
            except asyncio.CancelledError:
                self._desk.require_time(place)
                raise
            self._desk.begin(place)
            if not small:
                return await self._large(body, header)
            row = self._quick.row(body) if header is None else None
            if row and self._runner.is_quick:
                return self._one(row, len(body))
            return await self._few(row.as_question() if row else self._question(body, header), len(body))
        finally:
            self._desk.leave(place)

    def _one(self, row: Row, size: int) -> Scored:
        """The answer to one row, scored here and now."""
        begun = time.perf_counter()
        score = self._single(row.values)
        self._runner.took(time.perf_counter() - begun, 1)
        if not math.isfinite(score):
            raise _not_finite(0)
        content = self._quick.answer(row.id, score)
        return Scored(200, content, web.JSON_HEADERS, row, [score], self._quick.unseen(row.values), size)

    async def _few(self, asked: Question, size: int) -> Scored:
        """The answer to a few rows, scored in their turn."""
        scores = self._runner.at_once(asked.columns.tensors, asked.rows)
        if scores is None:
            scores = await self._runner.score(asked.columns.tensors, asked.rows)
        return self._answer(asked, scores, size)

    async def _large(self, body: bytes | bytearray, header: int | None) -> Scored:
        """The answer to many rows; in a thread, since understanding them takes time too."""
        scored = await self._runner.do(partial(self._understood_and_scored, body, header))
        self._metrics.batched(len(scored.scores))
        return scored

    def _understood_and_scored(self, body: bytes | bytearray, header: int | None) -> Scored:
        try:
            asked = self._question(body, header)
            return self._answer(asked, self._model.run(asked.columns.tensors), len(body))
        except Refused as refused:
            code, words, missing = refused.code, refused.words, refused.missing
        raise Refused(code, words, missing)  # anew: the traceback of the first holds on to everything that was parsed

    def _question(self, body: bytes | bytearray, header: int | None) -> Question:
        return protocol.question(body, self._model, header)

    def _answer(self, asked: Question, scores: NDArray[np.float64], size: int) -> Scored:
        finite = np.isfinite(scores)
        if not finite.all():
            raise _not_finite(int(np.flatnonzero(~finite)[0]))
        unseen = {
            column: count
            for column, known in self._record.categories.items()
            if (count := sum(text not in known for text in asked.columns[column]))
        }
        content, length = protocol.answer(self._record, asked, scores)
        headers = web.JSON_HEADERS if length is None else [("content-type", web.BYTES), (binary.HEADER, str(length))]
        return Scored(200, content, headers, asked, scores, unseen, size)

    async def _ready(self, scope: Scope, _: Exchange) -> Reply:
        named = {} if scope.path == "/v2/health/ready" else {"name": self._record.model}
        ready = not self._state.draining
        return web.reply({**named, "ready": ready}, 200 if ready else 503)

    async def _exposition(self, scope: Scope, _: Exchange) -> Reply:
        content, media_type = self._metrics.exposition(scope.headers.get("accept", ""))
        return Reply(200, content, [("content-type", media_type)])


@dataclass(slots=True)
class Scored(Reply):
    """An answer with scores, and what is to be told of it."""

    asked: Row | Question
    scores: Scores
    unseen: Mapping[str, int]
    size: int  # bytes of the request's body


def _not_finite(row: int) -> Refused:
    return Refused(422, f"the score of row {row} is not finite: its values are too extreme for the model")


def _fixed(message: Mapping[str, Any]) -> Callable[[Scope, Exchange], Awaitable[Reply]]:
    reply = web.reply(message)

    async def does(_: Scope, __: Exchange) -> Reply:
        return reply

    return does
