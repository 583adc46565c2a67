"""Parquet files in a folder, or wherever else fsspec reaches."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.errors import ENVIRONMENT, StageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


class Store:
    """Files under one URL or path."""

    def __init__(self, url: str) -> None:
        """Raise StageError where nothing installed knows such URLs."""
        self.shown = masked(url)
        self._files: Any = None
        self._root = url.removeprefix("file://")
        if re.match(r"[a-z0-9+]+://", self._root):
            try:
                import fsspec  # noqa: PLC0415 - a folder needs none

                self._files, self._root = fsspec.core.url_to_fs(url)
            except (ImportError, ValueError) as error:
                raise StageError(f"{self.shown} cannot be read here: {line(error)}", exit_code=ENVIRONMENT) from error
        self._root = self._root.rstrip("/")

    def exists(self, folder: str) -> bool:
        """Whether there is something in a folder. Raises StageError where the store does not answer."""
        return bool(self._listed(folder))

    def parquet(self, folder: str = "") -> list[str]:
        """The Parquet files within a folder, or the URL itself where that is one, by name; none where it is not there.

        Raises StageError where the store does not answer.
        """
        found = [self._root] if not folder and self._root.endswith(".parquet") else self._listed(folder)
        return sorted(
            each for each in found if each.endswith(".parquet") and not each.rpartition("/")[2].startswith(".")
        )

    def _listed(self, folder: str) -> list[str]:
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            if self._files is None:
                return [str(each) for each in Path(path).iterdir()]
            return [str(each) for each in self._files.ls(path, detail=False)]  # `exists` would hide why it is not there
        except (FileNotFoundError, NotADirectoryError):
            return []
        except Exception as error:  # each store has exceptions of its own
            words = f"{self.shown} does not answer: {line(error)}; try again, or correct its address"
            raise StageError(words, exit_code=ENVIRONMENT) from error

    def scan(self, path: str) -> pl.LazyFrame:
        """A file, not read yet. Raises what polars and the store raise."""
        import polars as pl  # noqa: PLC0415 - the other questions need none

        source = path if self._files is None else io.BytesIO(self._files.cat_file(path))
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
