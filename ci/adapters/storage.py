"""Whether DVC's default remote can be written, read and cleared again: asked with a file of a few bytes."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"trunkline"


def folder(root: Path) -> Path | None:
    """Where the default remote is, if it is a folder of this machine."""
    from dvc.repo import Repo  # type: ignore[import-untyped] # noqa: PLC0415 - takes most of a second to import

    with Repo(str(root)) as repo:
        name = repo.config["core"].get("remote")
        url = str(repo.config["remote"][name]["url"]) if name is not None else ""
    return None if not url or "://" in url else (root / ".dvc" / url).resolve()


def require_writable(root: Path) -> str:
    """Give the remote's address. Raises ConfigurationError where there is none, EnvironmentFault where it fails."""
    from dvc.repo import Repo  # noqa: PLC0415 - as above

    with Repo(str(root)) as repo:
        name = repo.config["core"].get("remote")
        if name is None:
            raise ConfigurationError(
                "DVC has no default remote; make one with `dvc remote add --default NAME URL` and commit .dvc/config."
            )
        url = re.sub(r"//.*@", "//", str(repo.config["remote"][name]["url"]))
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
