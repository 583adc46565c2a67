"""Where the inference log is kept: a folder, or whatever else fsspec reaches."""

from __future__ import annotations

import contextlib
import io
import os
import re

import fsspec

# Of these a reader sees an object only when it is whole, and a move would be a copy.
WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"})


class Store:
    """Files under one URL."""

    def __init__(self, url: str) -> None:
        """Raise ValueError or ImportError where nothing installed knows such URLs."""
        self.shown = masked(url)
        self._files, self._root = fsspec.core.url_to_fs(url)
        protocol = self._files.protocol
        self._whole = not WHOLE.isdisjoint({protocol} if isinstance(protocol, str) else protocol)

    def put(self, path: str, content: bytes) -> None:
        """Write a file that a reader sees whole or not at all. Raises what the store raises."""
        folder, _, name = f"{self._root.rstrip('/')}/{path}".rpartition("/")
        if self._whole:
            self._files.pipe_file(f"{folder}/{name}", content)
            return
        self._files.makedirs(folder, exist_ok=True)
        part = f"{folder}/.{name}.part"
        with self._files.open(part, "wb") as file:
            file.write(content)
            file.flush()
            with contextlib.suppress(AttributeError, io.UnsupportedOperation):  # of a file elsewhere
                os.fsync(file.fileno())
        self._files.mv(part, f"{folder}/{name}")


def masked(text: str) -> str:
    """Text without what in a URL lets somebody in."""
    return re.sub(r"\?\S*", "", re.sub(r"//\S*@", "//", text))
