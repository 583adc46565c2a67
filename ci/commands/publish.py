"""`trunkline publish`: brings the full training of a model from a job that may write nothing into git.

It runs with write permission on what a run of somebody's code left behind, so that is read as data: a verdict and the
entries of one model in a dvc.lock, each held to its shape, to the other, and to what the branch has.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import bot, dvc, files, forge, git, locks
from ci.commands import collect, full, spending
from ci.commands.lineage import LOCK
from ci.core import handover
from ci.core.bot import Proposal
from ci.core.errors import ConfigurationError
from ci.core.gating.verdict import exit_code
from ci.core.lineage import of_lock
from ci.core.loglines import quiet
from ci.core.params import NAME
from ci.core.reporting.markdown import COMMENT_LIMIT, ROOM
from ci.core.retraining import telling

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from ci.adapters.forge import Forge
    from ci.core.bot import Read
    from ci.core.lineage import Lineage
    from ci.core.records import Verdict

TREE = Path(".trunkline") / "publish"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: what the workflow itself knows, and where the training job's artifacts lie."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--branch", required=True, help="what was trained: a pull request's branch, or the default one")
    parser.add_argument("--sha", required=True, help="the commit of it that was trained")
    parser.add_argument("--lock", type=Path, metavar="FILE", required=True, help="the dvc.lock that training left")
    parser.add_argument(
        "--records", type=Path, metavar="DIR", required=True, help="where the artifact train-<model> lies"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Add the entries to the branch's dvc.lock; those of the default branch come as a pull request train/<model>.

    Nothing is added for a verdict that refuses (its exit code), nor where the branch has moved on to something else.
    """
    root = Path.cwd()
    git.require_repository(root)
    _require(args.model, args.branch, args.sha)
    verdict = collect.of_leg(args.records, args.model, args.sha, "full")
    entries = handover.entries(_text(args.lock), args.model, str(args.lock))
    lineage = _lineage(entries, verdict, args.lock)
    if (code := exit_code([verdict], decided=telling.is_of(args.branch, args.model))) != 0:
        print(f"{args.model}: not published: {quiet(verdict.summary)}")
        return code
    line = forge.of(root)
    if args.branch == line.base():
        _propose(root, line, entries, verdict, lineage)
    else:
        _append(root, line, args.branch, entries, verdict, lineage)
    spending.write(root, line, verdict)
    return 0


def _append(
    root: Path, line: Forge, branch: str, entries: Mapping[str, Any], verdict: Verdict, lineage: Lineage
) -> None:
    made = bot.append(
        root,
        line,
        branch,
        lambda read: _written(read, entries),
        _message(verdict, lineage),
        lambda head: _require_fit(root, lineage, entries, branch, head),
    )
    print(f"{lineage.model}: {f'commit {made[:12]} on {branch}' if made else f'{branch} has it already'}")


def _propose(root: Path, line: Forge, entries: Mapping[str, Any], verdict: Verdict, lineage: Lineage) -> None:
    from ci.adapters.templates import render_markdown  # noqa: PLC0415 - jinja2 only where a report is written

    base = line.base()

    def compute(read: Read) -> Mapping[str, str | None]:
        ref = f"refs/heads/{base}"
        _require_fit(root, lineage, entries, base, line.remote.fetch(ref)[ref])
        return _written(read, entries)

    model = lineage.model
    proposal = Proposal(
        branch=f"train/{model}",
        title=f"Full training of {model}",
        body=f"The full training of `{model}` as {base} has it, made from {lineage.commit}. "
        f"Merged, it is what `trunkline release` packages.\n\n{render_markdown([verdict], limit=COMMENT_LIMIT - ROOM)}",
        message=_message(verdict, lineage),
        compute=compute,
    )
    done = bot.propose(root, line, proposal)
    print(f"{model}: {done.action}{f', {done.pull.url}' if done.pull else f': {base} has it already'}")


def _require(model: str, branch: str, sha: str) -> None:
    for option, value, pattern, wanted in (
        ("MODEL", model, NAME.pattern, "the name of a model"),
        ("--branch", branch, r"(?![-/.])[\w./+@#-]{1,250}", "the name of a branch"),
        ("--sha", sha, r"[0-9a-f]{40}|[0-9a-f]{64}", "a whole commit hash"),
    ):
        if not re.fullmatch(pattern, value):
            raise ConfigurationError(quiet(f"{option} is {value[:80]!r}, but has to be {wanted}."))


def _text(lock: Path) -> str:
    try:
        return collect.content(lock).decode()
    except UnicodeDecodeError:
        raise collect.refusal(lock, "is not UTF-8 text; train again.") from None


def _lineage(entries: Mapping[str, Any], verdict: Verdict, lock: Path) -> Lineage:
    """What the entries say of the version that was judged. Raises ConfigurationError where they are of another."""
    lineage = of_lock(entries, verdict.model, str(verdict.commit))
    if lineage is None or lineage.model_hash != verdict.candidate_hash:
        raise collect.refusal(lock, "pins another model than was judged; train again.")
    return lineage


def _require_fit(root: Path, lineage: Lineage, entries: Mapping[str, Any], branch: str, head: str) -> None:
    """Raise ConfigurationError unless the branch's newest commit is what was trained, by its own hashes.

    What else was pushed to it meanwhile is no hindrance. This runs with write permission, and what is checked out is
    somebody's branch: nothing of it is run, nor says what is run.
    """
    tree = root / TREE
    with locks.exclusive(tree.with_suffix(".lock"), "another `trunkline publish`"):
        git.add_worktree(root, tree, head, inert=True)
        try:
            dvc.isolate(root, tree)
            lock = tree / LOCK
            files.write_text(lock, handover.merged(dvc.lock(lock.read_text() if lock.is_file() else None), entries))
            reasons = full.behind(tree, lineage.model)
        finally:
            git.remove_worktree(root, tree)
    if reasons:
        raise ConfigurationError(
            f"{branch} has moved on since {lineage.commit[:12]} was trained, so that is not of what it has now "
            f"({reasons[0]}); what was pushed since has to be trained."
        )


def _written(read: Read, entries: Mapping[str, Any]) -> dict[str, str | None]:
    return {LOCK: handover.merged(dvc.lock(read(LOCK)), entries)}


def _message(verdict: Verdict, lineage: Lineage) -> str:
    words = f"Model {lineage.model_hash} of commit {lineage.commit[:12]}: {quiet(verdict.summary)}"
    return f"Full training of {lineage.model}\n\n{words}"
