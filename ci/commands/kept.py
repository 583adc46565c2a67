"""A trained model's files by their hashes: as they lie here, else from DVC as a commit pins them, else from MLflow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.adapters import dvc, git, locks
from ci.commands.lineage import LOCK
from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from ci.core.lineage import Lineage
    from ci.core.records import Mode

MODES: tuple[Mode, ...] = ("full", "smoke")


@dataclass(frozen=True)
class Pinned:
    """A model's file and the rows it was trained on: their paths, and the hashes that a dvc.lock has of them."""

    model: str
    commit: str | None
    model_hash: str
    onnx: str
    rows: str
    rows_hash: str


def pinned(root: Path, model: str, model_hash: str, lineage: Lineage | None) -> Pinned:
    """What pins the model with this hash: the commit of its lineage, else the dvc.lock that lies here.

    Raises ConfigurationError where neither does.
    """
    commit = lineage.commit if lineage else None
    lock = dvc.lock(git.show(root, commit, LOCK)) if commit else dvc.lock_of(root)
    for mode in MODES:
        if found := _of_mode(lock, model, mode, model_hash, commit):
            return found
    raise ConfigurationError(
        f"no dvc.lock pins a model of {model} with the hash {model_hash[:12]}, neither up to HEAD nor the one that "
        "lies here: it is not known what it was trained on; fetch the branch that it comes from."
    )


def fetch(root: Path, wanted: Pinned, lineage: Lineage | None) -> tuple[bytes, bytes]:
    """The model's file and its training rows, each held to its hash. Raises EnvironmentFault where one is nowhere."""
    hashes = {wanted.onnx: wanted.model_hash, wanted.rows: wanted.rows_hash}
    found = by_hash(root, wanted.model, wanted.commit, hashes)
    if wanted.onnx not in found and lineage is not None:
        found |= _of_mlflow(root, wanted, lineage)
    require_all(hashes, found)
    return found[wanted.onnx], found[wanted.rows]


def by_hash(root: Path, model: str, commit: str | None, hashes: Mapping[str, str]) -> dict[str, bytes]:
    """Those of these files of a model that lie here or that DVC has, by path; `commit` (None: HEAD) pins them."""
    found = {path: content for path, md5 in hashes.items() if (content := _here(root, path, md5)) is not None}
    if missing := {path: md5 for path, md5 in hashes.items() if path not in found}:
        found |= _of_dvc(root, model, commit, missing)
    return found


def require_all(hashes: Mapping[str, str], found: Mapping[str, bytes]) -> None:
    """Raise EnvironmentFault where one of these files was not found."""
    for path, md5 in hashes.items():
        if path not in found:
            raise EnvironmentFault(
                f"{path} with the hash {md5} is not here, and neither DVC's cache nor its remote has it; push it from "
                "where it was made (`dvc push`).",
                file=path,
            )


def _of_mode(lock: dict[str, Any], model: str, mode: Mode, model_hash: str, commit: str | None) -> Pinned | None:
    here = f"artifacts/{model}/{mode}"
    onnx, rows = f"{here}/model.onnx", f"{here}/train.parquet"
    rows_hash = dvc.outs(lock, f"prepare@{model}-{mode}").get(rows)
    if rows_hash is None or dvc.outs(lock, f"train@{model}-{mode}").get(onnx) != model_hash:
        return None
    return Pinned(model, commit, model_hash, onnx, rows, rows_hash)


def _of_dvc(root: Path, model: str, commit: str | None, hashes: Mapping[str, str]) -> dict[str, bytes]:
    """Those of these files that DVC has, fetched in a worktree: what lies here is not touched."""
    commit = commit or git.head(root)
    if commit is None:
        return {}
    tree = root / ".trunkline" / "explain" / model
    with locks.exclusive(root / ".trunkline" / f"explain-{model}.lock", f"another explanation of {model}"):
        git.add_worktree(root, tree, commit)
        try:
            dvc.share_cache(root, tree)
            dvc.fetch(tree, list(hashes))
            found = {path: _read(tree / path, md5) for path, md5 in hashes.items()}
        finally:
            git.remove_worktree(root, tree)
    return {path: content for path, content in found.items() if content is not None}


def _of_mlflow(root: Path, wanted: Pinned, lineage: Lineage) -> dict[str, bytes]:
    from ci.adapters.mlflow import Models, Runs  # noqa: PLC0415 - heavy, and asked only where DVC has lost it

    try:
        known = Models(root).find(wanted.model, lineage.lock_hash)
        content = Runs(root).file(known.run_id, "model/model.onnx") if known and known.run_id else None
    except EnvironmentFault:  # it is the last resort: that the file is missing says more
        return {}
    return {wanted.onnx: content} if content is not None and _md5(content) == wanted.model_hash else {}


def _here(root: Path, path: str, md5: str) -> bytes | None:
    """A file as it lies here, or in DVC's cache."""
    content = _read(root / path, md5)
    kept = None if content is not None else dvc.cached(root, md5)
    return kept.read_bytes() if kept else content


def _read(path: Path, md5: str) -> bytes | None:
    content = path.read_bytes() if path.is_file() else None
    return content if content is not None and _md5(content) == md5 else None


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
