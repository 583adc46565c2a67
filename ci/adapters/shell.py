"""The one door to other programs: takes a list, says what it runs, never a shell line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Completed:
    """What a program left behind."""

    code: int
    out: str
    err: str


class CommandFailed(EnvironmentFault):
    """A program ended with another status than 0; carries its last words."""

    def __init__(self, args: Sequence[str], done: Completed) -> None:
        said = (done.err or done.out).strip().splitlines()
        super().__init__(f"`{' '.join(args)}` ended with status {done.code}: {said[-1] if said else 'it said nothing'}")
        self.done = done


def run(
    args: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    capture: bool = True,
    check: bool = True,
    loud: bool = False,
    feed: str | None = None,
    without: Sequence[str] = (),
) -> Completed:
    """Run `args`; `env` is added to the surroundings, `loud` prints the command first, `feed` is its standard input.

    Of the surroundings the program is not told what a pattern of `without` names.

    With `capture=False` the program writes to stderr, so that stdout stays the command's own.
    Raises CommandFailed (with `check`), or EnvironmentFault where the program is not installed.
    """
    if loud:
        print(f"$ {' '.join(args)}", file=sys.stderr, flush=True)
    told = {name: value for name, value in os.environ.items() if not any(fnmatchcase(name, one) for one in without)}
    try:
        done = subprocess.run(
            args,
            cwd=cwd,
            env={**told, **(env or {})},
            stdin=subprocess.DEVNULL if feed is None else None,
            input=feed,
            stdout=subprocess.PIPE if capture else sys.stderr,
            stderr=subprocess.PIPE if capture else None,
            encoding="utf-8",
            errors="backslashreplace",  # a file name need not be UTF-8; as text it can be told, and ends nothing
            check=False,
        )
    except FileNotFoundError as missing:
        raise EnvironmentFault(f"`{args[0]}` is not installed or not on PATH; install it and run again.") from missing
    completed = Completed(done.returncode, done.stdout or "", done.stderr or "")
    if check and completed.code != 0:
        raise CommandFailed(args, completed)
    return completed


def of_environment(program: str, package: str) -> str:
    """The path of a program that comes with a Python package: this environment's, else the one on PATH.

    Raises EnvironmentFault where there is none.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which(program, path=path)
    if found is None:
        raise EnvironmentFault(
            f"`{program}` is not installed; `pip install {package}` brings it, and so does `make setup`."
        )
    return found
