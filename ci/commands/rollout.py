"""`trunkline rollout`: looks at what is being rolled out, and steps, promotes or takes it back by commits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import forge, git, history, locks, rollouts
from ci.commands import merged
from ci.commands.legs import raise_worst
from ci.core.errors import ConfigurationError, TrunklineError, did_you_mean
from ci.core.loglines import quiet

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ci.adapters.forge import Forge
    from ci.adapters.rollouts import Place
    from ci.commands.merged import Base
    from ci.core.params import Releasing


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="which models; all when none is named")
    parser.add_argument("--environment", metavar="NAME", help="which one; all when none is named")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--plan", action="store_true", help="only say what is being rolled out")
    how.add_argument("--dry-run", action="store_true", help="look and decide, and write nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look at each rollout that the forge's default branch has; one that fails keeps no other back."""
    root = Path.cwd()
    git.require_repository(root)
    history.require_whole(root)
    there = forge.of(root)
    base = merged.at_forge(root, there)
    rules, places = chosen(base, args.models, args.environment)
    found = _to_do(base, there, places)
    if args.plan:
        return _plan(found)
    faults: list[TrunklineError] = []
    for model, environment in found:
        try:
            with locks.exclusive(root / ".trunkline" / f"rollout-{model}.lock", f"another rollout of {model}"):
                _roll(root, there, model, environment, rules, dry_run=args.dry_run)
        except TrunklineError as fault:
            faults.append(fault)
    if not found:
        print("nothing is being rolled out")
    raise_worst(faults)
    return 0


def chosen(base: Base, models: Sequence[str], environment: str | None) -> tuple[Releasing, list[Place]]:
    """The rules of the base, and models and environments that were asked for, or all. Raises ConfigurationError."""
    params = base.params()
    if params.release is None:
        raise ConfigurationError("params.yaml has no `release`, and so no environments; add it.", file=merged.PARAMS)
    known = list(params.release.environments)
    for model in models:
        if model not in params.models:
            raise ConfigurationError(
                f"there is no model '{model}' in params.yaml; {did_you_mean(model, params.models)}"
            )
    if environment is not None and environment not in known:
        words = did_you_mean(environment, known)
        raise ConfigurationError(f"there is no environment '{environment}' in params.yaml; {words}")
    environments = [environment] if environment else known
    return params.release, [(model, name) for model in models or params.models for name in environments]


def _to_do(base: Base, there: Forge, places: Sequence[Place]) -> dict[Place, str]:
    """Where a canary is, then where one was and not all of its end was done; each with its words.

    A canary comes first, since what follows from a release may wait for a registry of models that is down. A
    release.yaml that cannot be read is its own leg's to tell.
    """
    kept = rollouts.read(base.root, there, places)
    rolling, found = {}, {}
    for place in places:
        try:
            release = base.release(*place)
        except TrunklineError as fault:
            found[place] = fault.message
            continue
        if release is not None and release.spec.canary is not None:
            share = "copies of requests" if release.spec.shadow else f"{release.spec.weights.canary} % of the traffic"
            rolling[place] = f"version {release.spec.canary.version} has {share}"
        elif kept[place].rollout is not None and not kept[place].ended:
            found[place] = "the last rollout is over, and its record is not closed"
        elif any(change.note is None for change in base.changes(*place)):
            found[place] = "git does not say yet who agreed to its last change"
    return rolling | found


def _plan(found: dict[Place, str]) -> int:
    """Say what there is to do, and hand a workflow its matrix."""
    for (model, environment), words in found.items():
        print(f"{model}: {environment}: {quiet(words)}")
    if not found:
        print("nothing is being rolled out")
    if path := os.environ.get("GITHUB_OUTPUT"):
        models = list(dict.fromkeys(model for model, _ in found))
        with Path(path).open("a", encoding="utf-8") as out:
            out.write(f"models={json.dumps(models)}\nany={'true' if found else 'false'}\n")
    return 0


def _roll(root: Path, there: Forge, model: str, environment: str, rules: Releasing, *, dry_run: bool) -> None:
    from ci.commands.rollingout import Rolling  # noqa: PLC0415 - a plan needs none of what looks

    Rolling(root, there, model, environment, rules).go(dry_run=dry_run)
