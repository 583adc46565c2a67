"""The door to DVC: which stages are stale, running them, and fetching pinned data."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ci.adapters import files, shell
from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Sequence


def pins(root: Path) -> list[str]:
    """The `.dvc` files that pin data: `data.dvc`, and those of models that have one of their own."""
    found = [path for path in (root / "data.dvc", *sorted((root / "data").glob("*.dvc"))) if path.is_file()]
    return [path.relative_to(root).as_posix() for path in found]


def pinned(root: Path) -> dict[str, str]:
    """Each pinned path with its hash, of all `.dvc` files together."""
    return {path: md5 for pin in pins(root) for path, md5 in pinned_in(pin, (root / pin).read_text()).items()}


def pinned_in(pin: str, text: str) -> dict[str, str]:
    """Each path that the text of one `.dvc` file pins, relative to the repository's root, with its hash."""
    try:
        outs = yaml.safe_load(text)["outs"]
        folder = Path(pin).parent
        return {(folder / out["path"]).as_posix(): str(out["md5"]) for out in outs if "md5" in out}
    except (yaml.YAMLError, KeyError, TypeError) as wrong:
        raise ConfigurationError(
            f"{pin} is not a DVC file that pins data: restore it with `git checkout {pin}`.", file=pin
        ) from wrong


def lock(text: str | None) -> dict[str, Any]:
    """The stages of a dvc.lock by name; empty where there is none."""
    if not text:
        return {}
    try:
        return dict(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"])  # noqa: S506 - both are safe loaders, one is in C
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as wrong:
        raise ConfigurationError(
            "dvc.lock cannot be read; take either side of the conflict (`git checkout --ours dvc.lock`) and run "
            "`trunkline check`, which brings it up to date.",
            file="dvc.lock",
        ) from wrong


def lock_of(root: Path) -> dict[str, Any]:
    """The stages of the working tree's dvc.lock."""
    path = root / "dvc.lock"
    return lock(path.read_text() if path.is_file() else None)


def outs(entries: dict[str, Any], stage: str) -> dict[str, str]:
    """Each output file of a stage with its hash, by the entries of dvc.lock."""
    return {str(out["path"]): str(out["md5"]) for out in entries.get(stage, {}).get("outs", [])}


def stale(root: Path) -> dict[str, Any]:
    """The stages and pins that are not up to date, with DVC's reasons; empty when all are.

    All of them: naming some takes DVC longer than asking for all.
    """
    done = _run(root, ["status", "--json"], check=False)
    if done.code != 0:
        lock_of(root)  # what a person can mend, said in our words, with the file and the way out
        pinned(root)
        raise ConfigurationError(f"DVC cannot read the pipeline: {_last_error(done.err)}", file=_named(done.err))
    return dict(json.loads(done.out or "{}"))


def repro(root: Path, stages: Sequence[str]) -> bool:
    """Bring the stages of one model up to date, in this order, up to the first that fails. False when one did.

    They are named one by one: what else data.dvc pins is none of this model's business. In CI, what dvc.lock claims
    of them is no evidence, since whoever wrote the change wrote it too: it is dropped, and what DVC's run cache does
    not hold is run.
    """
    if os.environ.get("CI") == "true":
        _forget(root, stages)
    return _run(root, ["repro", "--single-item", *stages], capture=False, check=False, loud=True).code == 0


def _forget(root: Path, stages: Sequence[str]) -> None:
    path = root / "dvc.lock"
    known = lock_of(root)
    kept = {name: entry for name, entry in known.items() if name not in stages}
    if len(kept) < len(known):
        files.write_text(path, yaml.safe_dump({"schema": "2.0", "stages": kept}, sort_keys=False))


def fetch(root: Path, targets: Sequence[str]) -> bool:
    """Put pinned data in place from the cache or the remote. False when neither has it."""
    return _run(root, ["pull", "--quiet", *targets], check=False).code == 0


def commit(root: Path, path: str) -> None:
    """Put pinned data into the cache, and its hash into the file that pins it."""
    _run(root, ["commit", "--quiet", "--force", path])


def share_cache(root: Path, worktree: Path) -> None:
    """Let a worktree read and fill the cache of `root`."""
    cache = _run(root, ["cache", "dir"]).out.strip()
    _run(worktree, ["cache", "dir", "--local", cache])


def _run(
    root: Path, args: Sequence[str], *, check: bool = True, capture: bool = True, loud: bool = False
) -> shell.Completed:
    """Run DVC from this environment, whose `python` the stages find first on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {"PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1"}
    done = shell.run([sys.executable, "-m", "dvc", *args], cwd=root, env=env, capture=capture, check=check, loud=loud)
    if "Unable to acquire lock" in done.err or "is busy" in done.err:
        raise EnvironmentFault("another DVC command is running in this repository; wait for it and run again.")
    return done


def _last_error(text: str) -> str:
    """What DVC says after its last `ERROR:`, on one line."""
    said = text.rpartition("ERROR:")[2] or "it said nothing"
    return " ".join(said.split()).rstrip(".") + "."


def _named(text: str) -> str | None:
    return next((name for name in ("dvc.yaml", "dvc.lock", "data.dvc", "params.yaml") if name in text), None)
