"""The door to Parquet in a folder or at any fsspec URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.adapters.stores import Store, line
from ci.core.addresses import masked
from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator


def files(url: str, key: str) -> Iterator[tuple[str, Any]]:
    """Each Parquet file under a URL, by name, with what polars reads it from; `key` of params.yaml names the URL.

    Raises ConfigurationError where nothing is there, EnvironmentFault where the store does not answer.
    """
    try:
        store = Store.of(url)
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"{key} is {masked(url)}, which cannot be read here: {line(error)}.") from error
    try:
        there = store.below(store.root)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{key} is {store.shown}, and nothing is there; write Parquet there, or mend it."
        ) from error
    for path in sorted(there):
        if path.endswith(".parquet") and not path.rpartition("/")[2].startswith((".", "_")):
            try:
                yield path, store.content(path)
            except FileNotFoundError as error:
                raise EnvironmentFault(f"{path} was taken away meanwhile; run this again.") from error
