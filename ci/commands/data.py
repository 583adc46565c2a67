"""`trunkline data`: put the pinned data in place: from DVC's cache or remote, else remade by its simulator."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import dvc, files, git, locks, shell
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

UNCACHED = "not in cache"  # DVC says so of data that is missing, and of any data while its cache lacks what is pinned


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command is called alike
    """Fetch or remake what is missing, then hold all of it to its pinned hash."""
    root = Path.cwd()
    git.require_repository(root)
    with locks.check(root):
        ensure(root)
    for path, md5 in dvc.pinned(root).items():
        print(f"{path}  {md5}")
    return 0


def behind(root: Path, stale: dict[str, Any], models: Sequence[str]) -> bool:
    """Whether the data of `models` is missing, or differs from its pins, by DVC's status of all pins."""
    wanted = _wanted(root, models)
    states = {path: how for pin in dvc.pins(root) for path, how in _states(stale.get(pin)).items()}
    return any(path in states or not _is_there(root / path) for path in wanted)


def pinned_at(root: Path, commit: str, changed: Iterable[str]) -> dict[str, str]:
    """Each path that was pinned at `commit`, with its hash; `changed` tells the pins that are gone since."""
    pins = {*dvc.pins(root), *(path for path in changed if path.endswith(".dvc"))}
    texts = {pin: git.show(root, commit, pin) for pin in sorted(pins)}
    return {path: md5 for pin, text in texts.items() if text for path, md5 in dvc.pinned_in(pin, text).items()}


def ensure(root: Path, models: Sequence[str] | None = None) -> dict[str, Any]:
    """Make sure that the data of `models` (of all by default) is there and has the pinned hashes; DVC's status then.

    Raises ConfigurationError when a model has no pinned data, when what is there differs from its pin, or when
    data can be neither fetched nor remade.
    """
    wanted = _wanted(root, models)
    missing = sorted(path for path in wanted if not _is_there(root / path))
    for path in missing:
        shutil.rmtree(root / path, ignore_errors=True)
    if missing and not _fetched(root, missing):
        for path in missing:
            if not _is_there(root / path):
                _remake(root, Path(path).name)
    stale = dvc.stale(root)
    return dvc.stale(root) if _hold_to_pins(root, stale, wanted) else stale


def _wanted(root: Path, models: Sequence[str] | None) -> set[str]:
    """The pinned folders of `models`. Raises ConfigurationError when a model has none."""
    pinned = dvc.pinned(root)
    if not pinned:
        raise ConfigurationError("no data is pinned: data.dvc is missing; restore it with `git checkout data.dvc`.")
    for model in models or ():
        if f"data/{model}" not in pinned:
            raise ConfigurationError(
                f"no .dvc file pins data/{model}; put its files there and run `dvc add data/{model}`.", file="data.dvc"
            )
    return {path for path in pinned if models is None or Path(path).name in models}


def _is_there(path: Path) -> bool:
    """Whether there is data; a killed simulator leaves nothing but a file that begins with a dot."""
    return any(not entry.name.startswith(".") for entry in path.iterdir()) if path.is_dir() else path.exists()


def _fetched(root: Path, missing: list[str]) -> bool:
    dvc.fetch(root, missing)
    return all(_is_there(root / path) for path in missing)


def _remake(root: Path, model: str) -> None:
    """Run the model's simulator, which writes the same bytes every time."""
    if not (root / "ml" / "models" / model / "simulate.py").is_file():
        raise ConfigurationError(
            f"data/{model} is neither in DVC's cache nor in its remote, and {model} has no simulator to remake it; "
            "name a remote that has it (`dvc remote add --default`), then run `dvc pull`."
        )
    print(f"data/{model} is not in DVC's cache or remote: its simulator remakes it", file=sys.stderr)
    shell.run(
        [sys.executable, "-m", f"ml.models.{model}.simulate"],
        cwd=root,
        env={"PYTHONPATH": os.pathsep.join((str(root), os.environ.get("PYTHONPATH", "")))},
        capture=False,
        loud=True,
    )


def _hold_to_pins(root: Path, stale: dict[str, Any], wanted: set[str]) -> bool:
    """Raise ConfigurationError when data differs from its pinned hash; whether the cache was given what it lacked."""
    given = False
    for pin in dvc.pins(root):
        states = _states(stale.get(pin))
        for path in sorted(wanted & states.keys()):
            if states[path] != UNCACHED or not _is_cached_as_pinned(root, pin, path):
                raise ConfigurationError(
                    f"{path} has other bytes than {pin} pins: if you did not change it, remove {path} and run again; "
                    f"if you did, pin it with `dvc commit --force {pin}`.",
                    file=pin,
                )
            given = True
    return given


def _is_cached_as_pinned(root: Path, pin: str, path: str) -> bool:
    """Let DVC hash the data and put it into its cache; False, and the pin as it was, when the hash is another."""
    text = (root / pin).read_text()
    dvc.commit(root, path)
    if (root / pin).read_text() == text:
        return True
    files.write_text(root / pin, text)
    return False


def _states(reasons: object) -> dict[str, str]:
    """What DVC's status of one pin says of each path that it finds fault with."""
    found = reasons if isinstance(reasons, list) else []
    return {path: how for reason in found if isinstance(reason, dict) for path, how in reason["changed outs"].items()}
