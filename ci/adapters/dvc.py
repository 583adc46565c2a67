"""The door to DVC: which stages are stale, running them, and what goes to and comes from its remote."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from configobj import ConfigObj  # type: ignore[import-untyped]  # what DVC itself reads its settings with

from ci.adapters import files, shell
from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAUSES = (1.0, 4.0)  # seconds before the remote is asked again
TOKENS = ("GITHUB_TOKEN", "TRUNKLINE_TOKEN", "ACTIONS_*")
"""What DVC, and the stages it runs, have no use for."""


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


def repro(root: Path, stages: Sequence[str], env: Mapping[str, str] | None = None) -> bool:
    """Bring the stages of one model up to date, in this order, up to the first that fails. False when one did.

    `env` is added to what the stages see.

    They are named one by one: what else data.dvc pins is none of this model's business. In CI, what dvc.lock claims
    of them is no evidence, since whoever wrote the change wrote it too: it is dropped, and what DVC's run cache does
    not hold is run.
    """
    if os.environ.get("CI") == "true":
        _forget(root, stages)
    return _run(root, ["repro", "--single-item", *stages], capture=False, check=False, loud=True, env=env).code == 0


def rerun(root: Path, stages: Sequence[str]) -> bool:
    """Run these stages whatever DVC has of them, and let it keep nothing of the result. False when one failed."""
    args = ["repro", "--force", "--no-run-cache", "--no-commit", "--single-item", *stages]
    return _run(root, args, capture=False, check=False, loud=True).code == 0


def experiments(root: Path) -> list[str]:
    """The commits of all experiments that were run here, from whatever commit they started."""
    return _run(root, ["exp", "list", "--all-commits", "--sha-only"]).out.split()


def show(root: Path, commits: Sequence[str]) -> Any:
    """What DVC shows of these commits and of the experiments that start from them: parameters, metrics and states."""
    revs = [word for commit in commits for word in ("--rev", commit)]
    return json.loads(_run(root, ["exp", "show", "--json", *revs]).out)


def _forget(root: Path, stages: Sequence[str]) -> None:
    path = root / "dvc.lock"
    known = lock_of(root)
    kept = {name: entry for name, entry in known.items() if name not in stages}
    if len(kept) < len(known):
        files.write_text(path, yaml.safe_dump({"schema": "2.0", "stages": kept}, sort_keys=False))


def fetch(root: Path, targets: Sequence[str]) -> bool:
    """Put pinned data in place from the cache or the remote. False when neither has it."""
    return _run(root, ["pull", "--quiet", *targets], check=False).code == 0


def cached(root: Path, md5: str) -> Path | None:
    """The file with this hash in the cache, where that is in its usual place and has it: DVC itself takes a second."""
    path = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    return path if _md5(path) == md5 else None


def push(root: Path, stages: Sequence[str]) -> None:
    """Give the remote what these stages wrote, and nothing that it has. Raises EnvironmentFault when it cannot be."""
    for pause in (*PAUSES, None):
        done = _run(root, ["push", *stages], check=False, loud=True)
        if done.code == 0:
            return
        if pause is not None:
            print(f"DVC: {_last_error(done.err)} trying again in {pause:.0f} s", file=sys.stderr)
            time.sleep(pause)
    raise EnvironmentFault(
        f"DVC's remote did not take what was made: {_last_error(done.err)} "
        "`dvc remote list` names it; mend it and run again: nothing is made twice."
    )


def pull_outs(root: Path, stages: Sequence[str]) -> None:
    """Put in place what these stages wrote, byte for byte as dvc.lock has it, from the cache or the remote.

    Nothing is run. Raises EnvironmentFault that names a file which neither has, or which has other bytes there.
    """
    known = lock_of(root)
    wanted = {path: md5 for stage in stages for path, md5 in outs(known, stage).items()}
    if all(_md5(root / path) == md5 for path, md5 in wanted.items()):
        return
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        done = _run(root, ["pull", "--force", *stages], check=False)
        wrong = [path for path, md5 in wanted.items() if _md5(root / path) != md5]
        if not wrong:
            return
        damaged = [path for path in wrong if (root / path).is_file()]
        # DVC trusts what it once hashed; without the damaged files, here and in its cache, it asks the remote.
        for path in damaged:
            (root / path).unlink()
        dropped = [path for path in damaged if _drop(root, wanted[path])]
        if not dropped and "Missing cache files" in done.err:
            break
        if damaged and pause:  # asked anew, and it is what the remote has
            break
    raise EnvironmentFault(_unpulled(wrong, damaged, done.err), file=wrong[0])


def _unpulled(wrong: Sequence[str], damaged: Sequence[str], said: str) -> str:
    first = (*damaged, *wrong)[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    if damaged:
        words = "has other bytes in DVC's remote than dvc.lock pins: it was damaged, or tampered with"
    elif "Missing cache files" in said:
        words = "is pinned by dvc.lock, but neither DVC's cache nor its remote has it"
    else:
        words = f"is pinned by dvc.lock, but DVC cannot fetch it: {_last_error(said).rstrip('.')}"
    return f"{first}{more} {words}; push it again from where it was made (`dvc push`), or train again."


def _drop(root: Path, md5: str) -> bool:
    """Take a file out of the cache whose bytes are not those of its name. False where there is none such."""
    path = Path(_run(root, ["cache", "dir"]).out.strip()) / "files" / "md5" / md5[:2] / md5[2:]
    if _md5(path) in {None, md5}:
        return False
    path.unlink()
    return True


def _md5(path: Path) -> str | None:
    return files.md5(path) if path.is_file() else None


def commit(root: Path, path: str) -> None:
    """Put pinned data into the cache, and its hash into the file that pins it; what else that pins may be missing."""
    _run(root, ["add", "--quiet", path])


def share_cache(root: Path, worktree: Path) -> None:
    """Let a worktree read and fill the cache of `root`, and reach the remotes that `root` has today."""
    settings, cache = ConfigObj(), str((root / ".dvc" / "cache").absolute())
    for line in _run(root, ["config", "--list"]).out.splitlines():  # with paths that hold wherever one stands
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        kind, _, name = section.partition(".")
        if key == "cache.dir":
            cache = value
        elif kind == "remote" or key == "core.remote":
            settings.setdefault(f'{kind} "{name}"' if name else kind, {})[option] = value
    settings.setdefault("cache", {})["dir"] = cache
    config = worktree / ".dvc" / "config.local"
    config.touch(mode=0o600)  # credentials of a remote may stand in it
    config.write_text("\n".join([*settings.write(), ""]))


def isolate(root: Path, worktree: Path) -> None:
    """Let nothing of a worktree's commit configure DVC: its settings are those of `root`, its `.dvc` files only pins.

    Settings can name programs that are run for credentials, and so can a `.dvc` file that says where it imports from.
    """
    folder = worktree / ".dvc"
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir()
    settings = root / ".dvc" / "config"
    (folder / "config").write_bytes(settings.read_bytes() if settings.is_file() else b"")
    for path in sorted(worktree.rglob("*.dvc")):
        if path.is_symlink():
            path.unlink()
        elif path.is_file():
            found = pinned_in(path.name, path.read_text(errors="replace"))
            kept = [{"path": out, "md5": md5, "hash": "md5"} for out, md5 in found.items()]
            files.write_text(path, yaml.safe_dump({"outs": kept}))


def _run(
    root: Path,
    args: Sequence[str],
    *,
    check: bool = True,
    capture: bool = True,
    loud: bool = False,
    env: Mapping[str, str] | None = None,
) -> shell.Completed:
    """Run DVC from this environment, whose `python` the stages find first on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {"PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1", **(env or {})}
    # -P: without it `python -m` takes modules from where it runs, which can be somebody's branch. It is this program's
    # alone: the stages find the project's code as ever.
    words = [sys.executable, "-P", "-m", "dvc", *args]
    done = shell.run(words, cwd=root, env=env, capture=capture, check=check, loud=loud, without=TOKENS)
    if "Unable to acquire lock" in done.err or "is busy" in done.err:
        raise EnvironmentFault("another DVC command is running in this repository; wait for it and run again.")
    return done


def _last_error(text: str) -> str:
    """What DVC says after its last `ERROR:`, on one line."""
    said = text.rpartition("ERROR:")[2] or "it said nothing"
    return " ".join(said.split()).rstrip(".") + "."


def _named(text: str) -> str | None:
    return next((name for name in ("dvc.yaml", "dvc.lock", "data.dvc", "params.yaml") if name in text), None)
