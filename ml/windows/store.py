"""Parquet files in a folder, or wherever else fsspec reaches."""

from __future__ import annotations

import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ml.errors import ENVIRONMENT, StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

T = TypeVar("T")

PAUSES = (1.0, 4.0)  # seconds before a store is asked again
LONGEST = 60  # seconds that the names in a folder may take; the content of a file may what the store itself allows it


class Store:
    """Files under one URL or path."""

    def __init__(self, url: str) -> None:
        """Raise StageError where nothing installed knows such URLs."""
        self.shown = masked(url)
        self._files: Any = None
        self._limit: dict[str, int] = {}
        self._root = url.removeprefix("file://")
        if re.match(r"[a-z0-9+]+://", self._root):
            try:
                import fsspec  # noqa: PLC0415 - a folder needs none

                self._files, self._root = fsspec.core.url_to_fs(url)
                self._limit = {"timeout": LONGEST} if self._files.async_impl else {}
            except (ImportError, ValueError) as error:
                raise StageError(f"{self.shown} cannot be read here: {line(error)}", exit_code=ENVIRONMENT) from error
        self._root = self._root.rstrip("/")

    def exists(self, folder: str) -> bool:
        """Whether there is something in a folder. Raises StageError where the store does not answer."""
        return bool(self._listed(folder))

    def parquet(self, folder: str = "") -> list[str]:
        """The Parquet files in a folder, by name; without one, all below the URL, or itself where that is a file.

        None where it is not there. Raises StageError where the store does not answer.
        """
        found = self._listed(folder) if folder else self._below()
        return sorted(
            each for each in found if each.endswith(".parquet") and not each.rpartition("/")[2].startswith((".", "_"))
        )

    def _below(self) -> list[str]:
        """All files, however deep; a listing first, since it alone tells why nothing is there."""
        if self._root.endswith(".parquet"):
            return [self._root]
        if not self._listed(""):
            return []
        if self._files is None:
            return [str(each) for each in Path(self._root).rglob("*.parquet")]
        return self._asked(lambda: [str(each) for each in self._files.find(self._root)])

    def _listed(self, folder: str) -> list[str]:
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            return self._asked(partial(self._names, path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _names(self, path: str) -> list[str]:
        if self._files is None:
            return [str(each) for each in Path(path).iterdir()]
        # `exists` would hide why it is not there
        return [str(each) for each in self._files.ls(path, detail=False, **self._limit)]

    def _asked(self, ask: Callable[[], T]) -> T:
        """What the store answers, asked again where it fails, but not where it refuses or takes too long.

        Raises StageError where it does not answer; that something is not there is an answer.
        """
        for pause in (*PAUSES, None):
            try:
                return ask()
            except (FileNotFoundError, NotADirectoryError):
                raise
            except Exception as error:  # noqa: BLE001 - each store has exceptions of its own
                failed = error
            if pause is None or isinstance(failed, PermissionError | TimeoutError):
                break
            time.sleep(pause)
        words = f"{self.shown} does not answer: {line(failed)}; try again, or correct its address"
        raise StageError(words, exit_code=ENVIRONMENT) from failed

    def scan(self, path: str) -> pl.LazyFrame:
        """A file, not read yet; raises what polars raises, and FileNotFoundError.

        Raises StageError where the store does not give it: that is no file which is damaged.
        """
        import polars as pl  # noqa: PLC0415 - the other questions need none

        source = path if self._files is None else io.BytesIO(self._asked(partial(self._files.cat_file, path)))
        return pl.scan_parquet(source, glob=False, hive_partitioning=False)

    def name(self, path: str) -> str:
        """What a file is called within the store."""
        return path.removeprefix(self._root).lstrip("/") or path


def slices(frame: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    """A table, some rows at a time; the next ones are read while these are looked at."""
    import polars as pl  # noqa: PLC0415 - as above

    height = int(frame.select(pl.len()).collect().item())
    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(frame.slice(0, rows).collect)
        for offset in range(0, height, rows):
            found = ahead.result()
            ahead = reader.submit(frame.slice(offset + rows, rows).collect)
            yield found


def masked(text: str) -> str:
    """Text without what in a URL lets somebody in."""
    return re.sub(r"\?\S*", "", re.sub(r"//[^/\s@]*@", "//", text))


def line(error: Exception) -> str:
    """An error in one line."""
    return masked(" ".join(str(error).split()) or type(error).__name__)[:300].rstrip(".")
