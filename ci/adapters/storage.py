"""DVC's default remote: where it is, and whether a file of a few bytes can be written, read and cleared again there."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from ci.core.addresses import masked
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.loglines import quiet

CONTENT = b"trunkline"


def folder(root: Path) -> Path | None:
    """Where the default remote is, if it is a folder of this machine."""
    with _repository(root) as repo:
        _, url = _remote(repo)
    return None if url is None or "://" in url else Path(url).resolve()


def require_writable(root: Path) -> str:
    """Give the remote's address. Raises ConfigurationError where there is none, EnvironmentFault where it fails."""
    with _repository(root) as repo:
        name, address = _remote(repo)
        if address is None:
            raise ConfigurationError(
                "DVC has no default remote; make one with `dvc remote add --default NAME URL` and commit .dvc/config."
            )
        url = masked(address)
        try:
            store = repo.cloud.get_remote_odb(name)
            path = store.fs.join(store.path, f".trunkline-{uuid.uuid4().hex}")
            store.fs.makedirs(store.path, exist_ok=True)
            store.fs.fs.pipe_file(path, CONTENT)
            try:
                read = store.fs.fs.cat_file(path)
            finally:
                store.fs.fs.rm_file(path)
        except Exception as fault:  # each kind of storage raises its own
            said = " ".join(str(fault).split()) or type(fault).__name__
            raise EnvironmentFault(
                f"DVC's remote '{name}' at {url} cannot be written: {quiet(said)[:300]}; "
                "see `dvc remote list` and its credentials."
            ) from fault
    if read != CONTENT:
        raise EnvironmentFault(f"DVC's remote '{name}' at {url} gave back other bytes than were written to it.")
    return url


def _repository(root: Path) -> Any:
    from dvc.repo import Repo  # type: ignore[import-untyped] # noqa: PLC0415 - takes most of a second to import

    return Repo(str(root))


def _remote(repo: Any) -> tuple[str | None, str | None]:
    """The default remote's name and address, which is a whole path where it is a folder."""
    name = repo.config["core"].get("remote")
    return name, None if name is None else str(repo.config["remote"][name]["url"])
