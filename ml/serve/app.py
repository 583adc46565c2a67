"""The HTTP surface: Starlette's routes over the protocol, the desk and the model."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ml.serve import VERSION, openapi, protocol
from ml.serve.errors import Refused, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from numpy.typing import NDArray

    from ml.serve.desk import Desk
    from ml.serve.metrics import Metrics
    from ml.serve.model import Model

    Endpoint = Callable[[Request], Awaitable[Response]]

JSON = "application/json"
MAX_BODY = 4 * 2**20
MAX_BODIES = 8 * MAX_BODY  # of all requests together
BODY_SECONDS = 10
GONE = 499  # what is counted where nobody is left to be answered
log = logging.getLogger("ml.serve")


@dataclass
class State:
    """Whether the server asks its callers to go elsewhere."""

    draining: bool = False


class App:
    """The endpoints of one model."""

    def __init__(self, model: Model, desk: Desk, metrics: Metrics, state: State) -> None:
        self._model = model
        self._record = model.record
        self._desk = desk
        self._metrics = metrics
        self._state = state

    def asgi(self) -> Starlette:
        """The ASGI application."""
        about = {"name": "trunkline", "version": VERSION, "extensions": []}
        metadata = protocol.metadata(self._record, self._model.columns.values())
        description = openapi.description(self._record, self._model.columns.values())
        routes: list[tuple[str, str, str, Endpoint]] = [
            ("POST", "/v2/models/{name}/infer", "infer", self._infer),
            ("GET", "/v2/health/live", "live", self._fixed({"live": True})),
            ("GET", "/v2/health/ready", "ready", self._ready),
            ("GET", "/v2/models/{name}", "model", self._fixed(metadata)),
            ("GET", "/v2/models/{name}/ready", "model_ready", self._ready),
            ("GET", "/v2", "server", self._fixed(about)),
            ("GET", "/v2/", "server", self._fixed(about)),
            ("GET", "/metrics", "metrics", self._exposition),
            ("GET", "/openapi.json", "openapi", self._fixed(description)),
        ]
        app = Starlette(
            routes=[Route(path, self._answered(name, does), methods=[method]) for method, path, name, does in routes],
            exception_handlers={HTTPException: self._elsewhere},
        )
        app.router.redirect_slashes = False  # it would make an address from a header that anyone can write
        return app

    def _answered(self, route: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint with its refusals and faults as answers, and each answer counted."""

        async def does(request: Request) -> Response:
            try:
                self._require_model(request.path_params.get("name", self._record.model))
                response = await endpoint(request)
            except Refused as refused:
                response = self._refusal(refused.code, refused.words)
            except ClientDisconnect:
                response = Response(status_code=GONE)
            except Exception:
                log.exception("%s failed", route)
                response = self._refusal(500, "the server failed on this request; its log says where")
            self._metrics.answered(route, response.status_code)
            return self._closing(response)

        return does

    async def _elsewhere(self, _: Request, error: Exception) -> Response:
        """What Starlette itself refuses: a path that is none (404), or a method that its path does not take (405)."""
        code, headers = (error.status_code, error.headers or {}) if isinstance(error, HTTPException) else (500, {})
        words = "there is nothing at this path; /openapi.json lists what there is"
        if "Allow" in headers:
            allowed = ", ".join(sorted(headers["Allow"].split(", ")))  # Starlette joins a set
            words, headers = f"this path takes {allowed} alone", {"allow": allowed}
        self._metrics.answered("none", code)
        return self._closing(self._refusal(code, words, headers))

    def _require_model(self, name: str) -> None:
        if name != self._record.model:
            raise Refused(404, f"there is no model {shown(name)} here; this server has '{self._record.model}'")

    async def _infer(self, request: Request) -> Response:
        self._desk.require_place()  # before the body is read: a full server says so at once
        _require_json(request)
        with self._desk.holding() as hold:
            body = await _body(request, hold)
            started = time.perf_counter()
            answer, rows = await self._desk.do(partial(self._scored, body))
        self._metrics.seconds.observe(time.perf_counter() - started)
        self._metrics.rows.inc(rows)
        return Response(answer, media_type=JSON)

    def _scored(self, body: bytearray) -> tuple[bytes, int]:
        """The answer to a body and its number of rows; in a thread, since both parsing and scoring take time."""
        try:
            asked = protocol.question(body, self._record, self._model.columns)
            scores = self._model.score(asked.columns)
            _require_finite(scores)
            return protocol.answer(self._record, asked, scores), asked.rows
        except Refused as refused:
            code, words = refused.code, refused.words
        raise Refused(code, words)  # anew: the traceback of the first holds on to everything that was parsed

    async def _ready(self, request: Request) -> Response:
        named = {"name": self._record.model} if request.path_params else {}
        ready = not self._state.draining
        return _json({**named, "ready": ready}, 200 if ready else 503)

    async def _exposition(self, request: Request) -> Response:
        content, media_type = self._metrics.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": media_type})

    def _fixed(self, message: Mapping[str, Any]) -> Endpoint:
        content = orjson.dumps(message)

        async def does(_: Request) -> Response:
            return Response(content, media_type=JSON)

        return does

    def _refusal(self, code: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
        again = {"retry-after": "1"} if code == 503 else {}
        return _json({"error": words}, code, {**(headers or {}), **again})

    def _closing(self, response: Response) -> Response:
        """While draining, each caller's next request is to find another server."""
        if self._state.draining:
            response.headers["connection"] = "close"
        return response


def _require_finite(scores: NDArray[np.float64]) -> None:
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise Refused(422, f"the score of row {row} is not finite: its values are too extreme for the model")


def _json(message: Mapping[str, Any], code: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(message), code, headers, JSON)


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media_type != JSON:
        raise Refused(415, f"the content type is {shown(media_type)}; send {JSON}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Refused(415, f"the content encoding is {shown(encoding)}; send the body as it is")


async def _body(request: Request, hold: Callable[[int], None]) -> bytearray:
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                if len(body) + len(chunk) > MAX_BODY:
                    raise _too_large()
                hold(len(chunk))
                body += chunk
    except TimeoutError as error:
        raise Refused(408, f"the body did not come within {BODY_SECONDS} seconds; send it whole") from error
    return body


def _too_large() -> Refused:
    return Refused(413, f"the body is larger than {MAX_BODY:,} bytes; send the rows in parts")
