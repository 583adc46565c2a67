"""The door to Parquet in a folder or at any fsspec URL."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

from ci.core.addresses import masked
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCAL = frozenset({"file", "local"})


def files(url: str, key: str) -> Iterator[tuple[str, Any]]:
    """Each Parquet file under a URL, by name, with what polars reads it from; `key` of params.yaml names the URL."""
    import fsspec  # noqa: PLC0415 - only where rows are read

    shown = masked(url)
    try:
        store, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"{key} is {shown}, which cannot be read here: {line(error)}.") from error
    protocol = store.protocol
    is_local = not LOCAL.isdisjoint({protocol} if isinstance(protocol, str) else protocol)
    there = _asked(shown, lambda: [root] if store.isfile(root) else store.find(root) if store.exists(root) else None)
    if there is None:
        raise ConfigurationError(f"{key} is {shown}, and nothing is there; write Parquet there, or mend it.")
    for path in sorted(there):
        if path.endswith(".parquet") and not path.rpartition("/")[2].startswith((".", "_")):
            yield path, path if is_local else io.BytesIO(_asked(shown, partial(store.cat_file, path)))


def _asked(shown: str, ask: Callable[[], Any]) -> Any:
    """What a store answers. Raises EnvironmentFault where it does not."""
    try:
        return ask()
    except Exception as error:  # each kind of storage raises its own
        raise EnvironmentFault(f"what is at {shown} cannot be read: {line(error)}; run this again.") from error


def line(error: Exception) -> str:
    """An error on one line, without what in a URL lets somebody in."""
    return quiet(masked(" ".join(str(error).split())))[:300].rstrip(".")
