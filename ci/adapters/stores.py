"""The door to files wherever fsspec reaches; a store that fails is asked again."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ci.core.addresses import masked
from ci.core.errors import EnvironmentFault
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LOCAL = frozenset({"file", "local"})
PAUSES = (1.0, 4.0)  # seconds before a store is asked again
LONGEST = 60  # seconds that the names in a folder may take; the content of a file may what the store itself allows it


@dataclass(frozen=True)
class Store:
    """Files by fsspec; `root` is the path in its words, `shown` the URL as it may be shown."""

    shown: str
    root: str
    files: Any

    @classmethod
    def of(cls, url: str) -> Store:
        """Raises ValueError or ImportError where nothing installed knows such URLs."""
        import fsspec  # noqa: PLC0415 - only where files of a store are read

        files, root = fsspec.core.url_to_fs(url)
        return cls(masked(url), root, files)

    def names(self, folder: str) -> list[str]:
        """What is in a folder. Raises FileNotFoundError, and EnvironmentFault where the store does not answer."""
        # `exists` would hide why it is not there
        return [str(path) for path in self._asked(partial(self.files.ls, folder, detail=False, **self._limit))]

    def below(self, path: str) -> list[str]:
        """All files in a folder and those in it, or the file itself. Raises as `names`."""
        if self._asked(partial(self.files.isfile, path, **self._limit)):
            return [path]
        self.names(path)  # `find` would hide it too
        return [str(each) for each in self._asked(partial(self.files.find, path))]

    def content(self, path: str) -> Any:
        """What polars reads a file from. Raises as `names`."""
        protocol = self.files.protocol
        if not LOCAL.isdisjoint({protocol} if isinstance(protocol, str) else protocol):
            return path
        return io.BytesIO(self._asked(partial(self.files.cat_file, path)))

    @property
    def _limit(self) -> dict[str, int]:
        return {"timeout": LONGEST} if self.files.async_impl else {}

    def _asked(self, ask: Callable[[], T]) -> T:
        """What the store answers, asked again where it fails, but not where it refuses or takes too long."""
        for pause in (*PAUSES, None):
            try:
                return ask()
            except (FileNotFoundError, NotADirectoryError):
                raise
            except Exception as error:  # noqa: BLE001 - each kind of storage raises its own
                failed = error
            if pause is None or isinstance(failed, PermissionError | TimeoutError):
                break
            time.sleep(pause)
        raise EnvironmentFault(f"what is at {self.shown} cannot be read: {line(failed)}; run this again.") from failed


def line(error: Exception) -> str:
    """An error on one line, without what in a URL lets somebody in."""
    return quiet(masked(" ".join(str(error).split()) or type(error).__name__))[:300].rstrip(".")
