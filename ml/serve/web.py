"""HTTP as Granian hands it over (RSGI): what a request's head says, its body within bounds, and what is answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from granian.rsgi import ProtocolClosed, ProtocolError  # type: ignore[attr-defined]

from ml.serve.binary import HEADER
from ml.serve.errors import Refused, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping

    from ml.serve.desk import Desk, Place
    from ml.serve.model import Record

JSON, BYTES = "application/json", "application/octet-stream"
JSON_HEADERS = [("content-type", JSON)]  # nobody adds to it
MAX_BODY = 4 * 2**20
MAX_BODIES = 8 * MAX_BODY  # of all requests together
SMALL = 16 * 2**10  # what is read in one piece, and counted as nothing: fewer bytes than a connection has buffers
MODEL_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/ready|/infer)?")
GONE = (ProtocolClosed, ProtocolError)  # what reading raises where the sender has gone


class Headers(Protocol):
    """A request's, by name in lower case."""

    def get(self, key: str, default: Any = None) -> Any:
        """The first value of a name."""
        ...


class Scope(Protocol):
    """A request's head."""

    method: str
    path: str

    @property
    def headers(self) -> Headers:
        """Its headers."""
        ...


class Exchange(Protocol):
    """A request's body, whole or in parts, and where its answer goes."""

    def __call__(self) -> Awaitable[bytes]:
        """The whole body."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in parts, as they come."""
        ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""
        ...


@dataclass(slots=True)
class Reply:
    """An answer."""

    code: int
    content: bytes
    headers: list[tuple[str, str]]


def reply(message: Mapping[str, Any], code: int = 200) -> Reply:
    """A message as JSON."""
    return Reply(code, orjson.dumps(message), JSON_HEADERS)


def refusal(code: int, words: str, *headers: tuple[str, str]) -> Reply:
    """A sentence that says why not, and to whoever may come again, when."""
    again = [("retry-after", "1")] if code == 503 else []
    return Reply(code, orjson.dumps({"error": words}), [*JSON_HEADERS, *headers, *again])


def nowhere(path: str, record: Record) -> Reply:
    """What is at a path that is none: perhaps the path of another model or version."""
    asked = MODEL_PATH.fullmatch(path)
    if not asked:
        return refusal(404, "there is nothing at this path; /openapi.json lists what there is")
    if asked[1] != record.model:
        return refusal(404, f"there is no model {shown(asked[1])} here; this server has '{record.model}'")
    words = f"there is no version {shown(asked[2])} of '{record.model}' here; this server has '{record.version}'"
    return refusal(404, words)


def header_length(headers: Headers) -> int | None:
    """How much of the body is JSON, with tensors as bytes after it; None where all is. Raises Refused (400, 415)."""
    length = headers.get(HEADER)
    content_type = headers.get("content-type")
    if content_type is not None and content_type != JSON:
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type != JSON and (length is None or media_type != BYTES):
            raise Refused(415, f"the content type is {shown(media_type)}; send {JSON}, or {BYTES} with {HEADER}")
    encoding = headers.get("content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise Refused(415, f"the content encoding is {shown(encoding)}; send the body as it is")
    if length is None:
        return None
    if not (length.isascii() and length.isdigit() and len(length) < 10):
        raise Refused(400, f"{HEADER} is {shown(length)}; expected how many bytes of the body are JSON")
    return int(length)


def body_length(headers: Headers) -> int | None:
    """How long the body is to be, where its sender says so. Raises Refused (413) where that is too long."""
    length = headers.get("content-length")
    if length is None:
        return None
    if int(length) > MAX_BODY:
        raise _too_large()
    return int(length)


async def large_body(exchange: Exchange, length: int | None, desk: Desk, place: Place) -> bytearray:
    """A body whose parts hold room at the desk. Raises Refused (413, 503), and as GONE says."""
    body = bytearray()
    async for part in exchange:
        if len(body) + len(part) > MAX_BODY:
            raise _too_large()
        desk.hold(place, len(part))
        body += part
    if length is not None and len(body) < length:  # Granian's parts end where the connection does
        raise ProtocolClosed
    return body


def _too_large() -> Refused:
    return Refused(413, f"the body is larger than {MAX_BODY:,} bytes; send the rows in parts")
