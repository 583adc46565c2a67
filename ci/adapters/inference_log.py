"""The door to the inference log that servers write: one request's rows, found without reading what is not needed."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ci.core.addresses import masked
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.explaining import Logged

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

LOCAL = frozenset({"file", "local"})


def find(url: str, request_id: str, *, since: datetime | None = None) -> tuple[Logged, ...]:
    """The rows of a request in the log at `url`, a folder or any fsspec URL; empty where it has none.

    Files are opened newest hour first, up to the first that has the request: where an id was used twice, the last
    counts. Hours before `since` are not opened. Raises ConfigurationError where there is no log, EnvironmentFault where
    its store does not answer.
    """
    store = _Store(url)
    for path in store.files(since):
        if found := store.rows(path, request_id):
            return found
    return ()


class _Store:
    """Files under one URL, by fsspec."""

    def __init__(self, url: str) -> None:
        import fsspec  # noqa: PLC0415 - only where a log is read

        self._shown = masked(url)
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"{self._shown} is not a log that can be read here: {_line(error)}.") from error
        protocol = self._files.protocol
        self._is_local = not LOCAL.isdisjoint({protocol} if isinstance(protocol, str) else protocol)

    def files(self, since: datetime | None) -> Iterator[str]:
        """Paths, newest hour first."""
        models = self._parts(self._root.rstrip("/"), "model")
        if not models:
            raise ConfigurationError(
                f"there is no inference log at {self._shown}: no folder there is called model=...; name another with "
                "--log, or with SERVE_LOG as the servers have it."
            )
        days = sorted({(day, path) for _, model in models for day, path in self._parts(model, "date")}, reverse=True)
        for day, folder in days:
            if since is not None and day < f"{since:%Y-%m-%d}":
                return
            for hour, within in sorted(self._parts(folder, "hour"), reverse=True):
                if since is None or _hour(day, hour) > since - timedelta(hours=1):
                    yield from sorted(path for path in self._listed(within) if path.endswith(".parquet"))

    def rows(self, path: str, request_id: str) -> tuple[Logged, ...]:
        """The rows of a request in one file."""
        import polars as pl  # noqa: PLC0415 - a quarter of a second that only reading costs

        try:
            source = path if self._is_local else io.BytesIO(self._files.cat_file(path))
            found = pl.scan_parquet(source, glob=False).filter(pl.col("request_id") == request_id).collect()
            return _logged(found)
        except FileNotFoundError:  # tidied away meanwhile
            return ()
        except Exception as error:  # polars' and each store's exceptions share no base
            raise EnvironmentFault(f"{path} in the inference log cannot be read: {_line(error)}.") from error

    def _parts(self, folder: str, name: str) -> list[tuple[str, str]]:
        """The values of a partition within a folder, with their paths."""
        found = [re.search(rf"/{name}=([^/]+)/?$", path) for path in self._listed(folder)]
        return [(one[1], one.string) for one in found if one]

    def _listed(self, folder: str) -> list[str]:
        try:
            return [str(path) for path in self._files.ls(folder, detail=False)]
        except FileNotFoundError:
            return []
        except Exception as error:  # each store has exceptions of its own
            raise EnvironmentFault(f"the inference log at {self._shown} does not answer: {_line(error)}.") from error


def _logged(found: pl.DataFrame) -> tuple[Logged, ...]:
    if found.is_empty():
        return ()
    latest = found.filter(found["time"] == found["time"].max()).sort("row")
    rows: list[dict[str, Any]] = latest.to_dicts()
    return tuple(Logged.model_validate({"features": {}, **row}) for row in rows)


def _hour(day: str, hour: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{hour}").replace(tzinfo=UTC)


def _line(error: Exception) -> str:
    return masked(" ".join(str(error).split()))[:300].rstrip(".")
