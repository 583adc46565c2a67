"""`trunkline release`: packages what was merged, and proposes it to one environment after the other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import dvc, files, forge, git, history, locks
from ci.commands import full, gate, lasting, merged
from ci.commands.legs import raise_worst
from ci.core.errors import ConfigurationError, TrunklineError
from ci.core.loglines import quiet
from ci.core.params import parse_root
from ci.core.releasing import Superseded

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ci.core.params import Environment, Releasing


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="which models; all when none is named")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--plan", action="store_true", help="only say which models have something to be done")
    how.add_argument("--dry-run", action="store_true", help="verify and judge, and say what would be proposed")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Release each model as far as it may go; a model that is refused keeps no other back."""
    root = Path.cwd()
    git.require_repository(root)
    git.require_untracked(root)
    history.require_whole(root)
    models = gate.configured(root, args.models)
    rules = _rules(root)
    if args.plan:
        return _plan(root, models, rules)
    _require_clean(root)
    lasting.require(root)
    refused: list[TrunklineError] = []
    for model in models:
        try:
            with locks.exclusive(root / ".trunkline" / f"release-{model}.lock", f"another release of {model}"):
                _release(root, model, rules, dry_run=args.dry_run)
        except Superseded as newer:
            print(newer.message)
        except TrunklineError as fault:
            refused.append(fault)
    raise_worst(refused)
    return 0


def _release(root: Path, model: str, rules: Releasing, *, dry_run: bool) -> None:
    from ci.commands import releasing  # noqa: PLC0415 - a plan needs none of what packs and registers

    line = releasing.Line(root, forge.of(root), model, rules)
    if dry_run:
        line.rehearse()
    else:
        line.go()


def _rules(root: Path) -> Releasing:
    rules = parse_root(*files.read_yaml(root / "params.yaml")).release
    if rules is None:
        raise ConfigurationError(
            "params.yaml has no key 'release', so there is nowhere to release to; add registry, base and environments.",
            file="params.yaml",
        )
    return rules


def _require_clean(root: Path) -> None:
    """Raise ConfigurationError where something is not committed: a release is of a commit, and says of which."""
    changed = git.changed_paths(root, "HEAD")
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise ConfigurationError(
            f"{changed[0]}{more} is not as in the commit that is checked out, and only what is merged is released; "
            "commit and merge it, or put it aside with `git stash --include-untracked`.",
            file=changed[0],
        )


def _to_do(base: merged.Base, model: str, environments: Mapping[str, Environment], behind: Sequence[str]) -> str:
    """What a release of the model would have to do; a fault is its own leg's to tell, and stops no other model's."""
    try:
        return base.to_do(model, environments, behind)
    except TrunklineError as fault:
        return fault.message


def _plan(root: Path, models: Sequence[str], rules: Releasing) -> int:
    """Say which models have something to be done, and hand a workflow its matrix."""
    base = merged.newest(root, forge.of(root))
    with locks.check(root):
        stale = dvc.stale(root)
        behind = {model: full.behind(root, model, stale) for model in models}
    found = {model: words for model in models if (words := _to_do(base, model, rules.environments, behind[model]))}
    for model, words in found.items():
        print(f"{model}: {quiet(words)}")
    if not found:
        print("every model is released as it was merged: there is nothing to do")
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as out:
            out.write(f"models={json.dumps(list(found))}\nany={'true' if found else 'false'}\n")
    return 0
