"""What is packed in a file: the members of a zip archive whatever its name, and what gzip, bzip2 or xz made smaller."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 1 << 28  # bytes that one file may unpack to
ZIP = b"PK\x03\x04"


class Closed(Exception):
    """An archive that cannot be looked into; the message says why."""


class _Unpacker(Protocol):
    """As bz2, lzma and zlib have them."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


UNPACKERS: tuple[tuple[bytes, Callable[[], _Unpacker]], ...] = (
    (b"\x1f\x8b\x08", lambda: zlib.decompressobj(wbits=31)),
    *((b"\x78" + level, zlib.decompressobj) for level in (b"\x01", b"\x5e", b"\x9c", b"\xda")),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", lzma.LZMADecompressor),
)


def unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member. Raises Closed for what is too large, locked or damaged."""
    if content.startswith(ZIP) or zipfile.is_zipfile(io.BytesIO(content)):
        yield from _zipped(content)
    for magic, unpacker in UNPACKERS:
        if content.startswith(magic):
            try:
                yield "", _smaller(content, magic, unpacker)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return  # it only begins like one


def _zipped(content: bytes) -> Iterator[tuple[str, bytes]]:
    left = MOST
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                with archive.open(member) as inner:
                    read = inner.read(left + 1)
                left -= len(read)
                if left < 0:
                    raise Closed(f"it holds more than {MOST >> 20} MiB")
                yield member.filename, read
    except (
        zipfile.BadZipFile,
        RuntimeError,
        NotImplementedError,
        OSError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
    ) as bad:
        if content.startswith(ZIP):  # else it is a program that only knows how such archives end
            raise Closed(str(bad) or "it is damaged") from bad


def _smaller(content: bytes, magic: bytes, unpacker: Callable[[], _Unpacker]) -> bytes:
    """All that several compressed parts, one after the other, hold."""
    out, rest = b"", content
    while rest.startswith(magic):
        reading = unpacker()
        out += reading.decompress(rest, MOST + 1 - len(out))
        if len(out) > MOST:
            raise Closed(f"it holds more than {MOST >> 20} MiB")
        if not reading.eof:
            break
        rest = reading.unused_data
    return out
