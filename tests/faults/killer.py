"""Runs a command again and again, each time killed (SIGKILL) right after the first side effect that is new.

So every side effect is once the last thing that happened, and what a killed run left is all that the next one has; the
run that meets nothing new comes to its end. One process imports everything and is forked for each run, so that a point
costs what the command itself does:

    python -m tests.faults.killer PROJECT LOG COMMAND...

LOG has a line for each effect, in order. Exits with the command's code. Programs that only read, and take seconds to
start, are not run again over files that they have read in an earlier run: they would say the same.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

READS = {  # of git and DVC: whatever is not named here is a side effect
    "git": {
        "cat-file",
        "check-ignore",
        "diff",
        "for-each-ref",
        "log",
        "ls-files",
        "ls-remote",
        "ls-tree",
        "merge-base",
        "merge-tree",
        "rev-list",
        "rev-parse",
        "show",
        "status",
        "symbolic-ref --quiet",
    },
    "dvc": {"status", "config", "cache", "version"},
}
SLOW = ("-m dvc status", "-m ml.stages.rescore")
"""Programs that only read, and read nothing but files of the project."""
UNREAD = {".git", ".trunkline", ".dvc/tmp"}
OURS = {"timings.json", "verdict.json", "verdict.key", "report.md", "report.html"}
"""Written anew by each run, and no stage's."""
ALIKE = (  # where one point stands for many: git's objects, which nothing points at yet, and files in one folder
    (re.compile(r"git (read-tree|hash-object|update-index|write-tree|commit-tree)\b.*"), "git objects"),
    (re.compile(r"copy \S*/mlartifacts/.*"), "copy into mlartifacts"),
    (re.compile(r"(write|unlink) \S*/plots/.*"), "plots"),
    (re.compile(r"unlink \S*/scratch/.*"), "clear scratch"),
)
HASH = re.compile(r"\b[0-9a-f]{12,64}\b")
RANDOM = re.compile(r"(trunkline-|\.)[\w]{8}\b")
HEAVY = (
    "docker",
    "matplotlib.pyplot",
    "mlflow.onnx",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "onnx",
    "onnxruntime",
    "polars",
)
BEHIND = ("ci.commands.releasing", "ci.commands.candidate")
MOST = 200  # runs; more would be an effect that is never the same


class Killer:
    """Knows the effects of earlier runs, and ends this process after a new one."""

    def __init__(self, root: Path, log: Path) -> None:
        self.root = root
        self.log = log
        self.seen: Counter[str] = Counter()

    def happened(self, effect: str) -> None:
        """Take note of a side effect; the first time that is the last thing this process does."""
        words = RANDOM.sub("…", HASH.sub("#", effect.replace(str(self.root), "ROOT")))
        for pattern, name in ALIKE:
            words = pattern.sub(name, words)
        self.seen[words] += 1
        if self.seen[words] > 1 and words not in {name for _, name in ALIKE}:
            words = f"{words} ({self.seen[words]})"
        known = self.log.read_text().splitlines() if self.log.exists() else []
        if words in known:
            return
        with self.log.open("a") as out:
            out.write(f"{words}\n")
            out.flush()
            os.fsync(out.fileno())
        os.kill(os.getpid(), signal.SIGKILL)

    def after(self, owner: Any, name: str, words: Callable[..., str | None]) -> None:
        """Call `happened` after each call of a function for which `words` says what it did."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def outer(*args: Any, **named: Any) -> Any:
            done = inner(*args, **named)
            if effect := words(*args, **named):
                self.happened(effect)
            return done

        setattr(owner, name, outer)


def watch(killer: Killer) -> None:
    """Have every door through which the command acts tell of it."""
    from docker import APIClient

    from ci.adapters import docker, files, mlflow_door, shell
    from ci.adapters.github.client import Client

    root = killer.root
    shell.run = functools.partial(remembering, shell.run, shell.Completed, root, killer.log.with_suffix(".said"))
    killer.after(shell, "run", lambda args, **_: program(args))
    killer.after(files, "write_bytes", lambda path, _: f"write {path}")
    killer.after(shutil, "rmtree", lambda path, *_, **__: f"rmtree {path}" if Path(path).is_relative_to(root) else None)
    killer.after(shutil, "copyfile", lambda _, to, **__: f"copy {to}" if Path(to).is_relative_to(root) else None)
    killer.after(Path, "unlink", lambda path, **_: f"unlink {path}" if path.is_relative_to(root) else None)
    killer.after(APIClient, "_post", lambda _, url, **__: f"docker POST {url.partition('/v')[2]}")
    for name in ("build", "save", "load", "push"):
        killer.after(docker, name, lambda *_, name=name, **__: f"docker {name}")
    killer.after(mlflow_door.Door, "ask", lambda _, call, *args, **__: asked(call.__name__, args))
    killer.after(Client, "send", lambda _, method, path, **__: None if method == "GET" else f"github {method} {path}")
    killer.after(Client, "graphql", lambda _, mutation, __: f"github {mutated(mutation)}")


def remembering(
    inner: Callable[..., Any], completed: Callable[..., Any], root: Path, kept: Path, args: list[str], **named: Any
) -> Any:
    """Run a program, or give what a slow one said of the same files in an earlier run."""
    if not any(words in " ".join(args) for words in SLOW):
        return inner(args, **named)
    path = kept / hashlib.sha256(f"{args} {named} {digest(root)}".encode()).hexdigest()
    if path.exists():
        return completed(**json.loads(path.read_text()))
    done = inner(args, **named)
    if done.code == 0:
        kept.mkdir(exist_ok=True)
        path.write_text(json.dumps(vars(done)))
    return done


def digest(root: Path) -> str:
    """What tells apart two states of all files that DVC and the stages read; its cache's are as they are named."""
    found = hashlib.sha256()
    for folder, below, names in os.walk(root):
        here = Path(folder).relative_to(root)
        below[:] = sorted(name for name in below if str(here / name) not in UNREAD)
        for name in sorted(set(names) - OURS):
            path = root / here / name
            content = b"" if str(here).startswith(".dvc/cache") else path.read_bytes()
            found.update(f"{here / name} {path.lstat().st_size} {hashlib.sha256(content).hexdigest()}\n".encode())
    return found.hexdigest()


def program(args: list[str]) -> str | None:
    """What a program that has ended did, or None where it only read."""
    words = [Path(args[0]).name, *(word for word in args[1:] if word != "-P")]
    if words[0].startswith("python") and words[1:3] == ["-m", "dvc"]:
        words = ["dvc", *words[3:]]
    reads = READS.get(words[0], set())
    if words[1] in reads or " ".join(words[1:3]) in reads or words[1:3] == ["config", "--local"]:
        return None
    if words[:2] == ["git", "notes"] and "add" not in words:
        return None
    shown = [word for word in words if not word.startswith("--force-with-lease=")]
    return " ".join(shown).partition("\n")[0][:300]


def asked(call: str, args: tuple[Any, ...]) -> str | None:
    """What MLflow did when it was asked, or None where it only told."""
    if call.startswith(("get_", "search_")):
        return None
    told = [str(arg) for arg in args if isinstance(arg, str) and not re.fullmatch(r"[0-9a-f]{32}", arg)]
    return f"mlflow {call} {' '.join(told)}".strip()


def mutated(mutation: str) -> str:
    """The name of what a mutation asks for."""
    return mutation.partition("{")[2].partition("(")[0].strip()


def run(root: Path, log: Path, command: list[str]) -> int:
    """One run in a process of its own; its exit code, or -9 when it was killed."""
    child = os.fork()
    if child == 0:
        try:
            watch(Killer(root, log))
            os.chdir(root)
            from ci import cli

            code = cli.main(command)
        except BaseException:  # noqa: BLE001 - the child must not go on as its parent
            sys.excepthook(*sys.exc_info())
            code = 99
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def warm(name: str) -> None:
    """Import what the command needs, once."""
    behind = {
        "rollout": ("ci.commands.rollingout", "ci.commands.registering"),
        "train": ("ci.commands.report", "ci.commands.registering", "ci.commands.table"),
        "retrain": ("ci.commands.retraining",),
        "alert": ("ci.adapters.alerts",),
    }
    for module in (*HEAVY, "ci.cli", f"ci.commands.{name}", *behind.get(name, BEHIND)):
        importlib.import_module(module)


def main() -> int:
    """Kill the command after one effect after the other."""
    root, log, *command = sys.argv[1:]
    warm(command[0])
    for _ in range(MOST):
        code = run(Path(root), Path(log), command)
        if code != -signal.SIGKILL:
            return code
    print(
        f"after {MOST} runs there was still something new: {Path(log).read_text().splitlines()[-5:]}", file=sys.stderr
    )
    return 98


if __name__ == "__main__":
    sys.exit(main())
