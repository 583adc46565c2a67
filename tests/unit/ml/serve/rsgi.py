"""An RSGI application behind httpx, without a socket: what Granian hands over, as far as the server looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Scope:
    """A request's head."""

    method: str
    path: str
    headers: httpx.Headers
    proto: str = "http"


class Exchange:
    """A request's body in parts, and the answer to it."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self.answer: tuple[int, list[tuple[str, str]], bytes] | None = None

    async def __call__(self) -> bytes:
        return b"".join([part async for part in self._parts])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._parts

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        assert self.answer is None
        assert type(headers) is list
        assert type(body) is bytes
        self.answer = (status, headers, body)


class Transport(httpx.AsyncBaseTransport):
    """Hands httpx's requests to an application."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        exchange = Exchange(aiter(request.stream))
        await self._app.__rsgi__(Scope(request.method, request.url.path, request.headers), exchange)
        assert exchange.answer is not None
        status, headers, body = exchange.answer
        return httpx.Response(status, headers=headers, content=body)
