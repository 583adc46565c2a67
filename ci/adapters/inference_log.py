"""The door to the inference log that servers write: one request's rows, found without reading what is not needed."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from ci.adapters.stores import Store, line
from ci.core.addresses import masked
from ci.core.errors import ConfigurationError, EnvironmentFault, did_you_mean
from ci.core.explaining import Logged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AT_ONCE = 8  # files: of a store that is far away, each takes its time


def find(url: str, request_id: str, *, model: str | None = None, since: datetime | None = None) -> tuple[Logged, ...]:
    """All rows with a request's id in the log at `url`, a folder or any fsspec URL; empty where it has none.

    Hours are opened newest first, up to the first that has the id. Hours before `since` are not opened, nor those of
    another model than `model`. Raises ConfigurationError where there is no log, EnvironmentFault where its store does
    not answer.
    """
    there = _Log(url)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for files in there.hours(model, since):
            rows = [row for found in pool.map(partial(there.rows, request_id), files) for row in found]
            if rows:
                return tuple(rows)
    return ()


def newest(url: str, model: str) -> datetime | None:
    """The newest hour (UTC) that the log at `url` has of a model; None where it has none. Raises as `find` does."""
    return _Log(url).newest(model)


class _Log:
    """Files under one URL, by fsspec."""

    def __init__(self, url: str) -> None:
        try:
            self._store = Store.of(url)
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"{masked(url)} is not a log that can be read here: {line(error)}.") from error
        self._root = self._store.root.rstrip("/")

    def hours(self, wanted: str | None, since: datetime | None) -> Iterator[list[str]]:
        """The files of each hour, of one model or of all, newest first."""
        models = self._parts(self._root, "model")
        if not models:
            raise ConfigurationError(
                f"there is no inference log at {self._store.shown}: no folder there is called model=...; name another "
                "with --log, or with SERVE_LOG as the servers have it."
            )
        if wanted is not None and wanted not in dict(models):
            raise ConfigurationError(
                f"the inference log at {self._store.shown} has no model {wanted!r}; "
                f"{did_you_mean(wanted, dict(models))}"
            )
        folders = [folder for name, folder in models if wanted in {None, name}]
        days = _grouped(part for folder in folders for part in self._parts(folder, "date"))
        for day, of_day in days:
            if since is not None and day < f"{since:%Y-%m-%d}":
                return
            for hour, within in _grouped(part for folder in of_day for part in self._parts(folder, "hour")):
                if since is None or (at := _hour(day, hour)) is None or at > since - timedelta(hours=1):
                    yield [path for folder in within for path in self._listed(folder) if path.endswith(".parquet")]

    def newest(self, model: str) -> datetime | None:
        """The last hour of the last day that has one."""
        days = sorted(self._parts(f"{self._root}/model={model}", "date"), reverse=True)
        hours = ((_hour(day, hour) for hour, _ in self._parts(folder, "hour")) for day, folder in days)
        return next((max(found) for of_day in hours if (found := [hour for hour in of_day if hour])), None)

    def rows(self, request_id: str, path: str) -> tuple[Logged, ...]:
        """The rows of a request in one file."""
        import polars as pl  # noqa: PLC0415 - a quarter of a second that only reading costs

        try:
            source = self._store.content(path)
            found = pl.scan_parquet(source, glob=False).filter(pl.col("request_id") == request_id).collect()
            return tuple(Logged.model_validate({"features": {}, **row}) for row in found.to_dicts())
        except FileNotFoundError:  # tidied away meanwhile
            return ()
        except EnvironmentFault:  # the store, not the file
            raise
        except Exception as error:  # polars' exceptions share no base with others
            raise EnvironmentFault(f"{path} in the inference log cannot be read: {line(error)}.") from error

    def _parts(self, folder: str, name: str) -> list[tuple[str, str]]:
        """The values of a partition within a folder, with their paths."""
        found = [re.search(rf"/{name}=([^/]+)/?$", path) for path in self._listed(folder)]
        return [(one[1], one.string) for one in found if one]

    def _listed(self, folder: str) -> list[str]:
        try:
            return self._store.names(folder)
        except FileNotFoundError:
            return []


def _grouped(parts: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """The paths of each value, the greatest value first."""
    found: dict[str, list[str]] = {}
    for value, path in parts:
        found.setdefault(value, []).append(path)
    return sorted(found.items(), reverse=True)


def _hour(day: str, hour: str) -> datetime | None:
    """The hour of a partition; None of a folder that somebody else made."""
    try:
        return datetime.fromisoformat(f"{day}T{hour}").replace(tzinfo=UTC)
    except ValueError:
        return None
