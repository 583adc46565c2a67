"""`trunkline plan`: which models this change touches, for people and for a workflow's matrix."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import dvc, files, git
from ci.commands import data, gate
from ci.core import release, training
from ci.core.errors import ConfigurationError
from ci.core.loglines import quiet
from ci.core.plan import Evidence, decide
from ci.core.reporting.markdown import escape
from ci.core.scope import folder_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from ci.core.records import Plan

OUT = Path("artifacts/plan.json")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--mode", choices=("smoke", "full"), default="smoke", help="full: those whose full training dvc.lock lacks"
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="in full mode: which ones; what changed when none is named"
    )
    parser.add_argument("--base", metavar="REF", help="compare with the merge base of HEAD and REF")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decide, write artifacts/plan.json, and hand a workflow its matrix."""
    root = Path.cwd()
    git.require_repository(root)
    git.require_untracked(root)
    plan = _full(root, args.models, args.base) if args.mode == "full" else _smoke(root, args.models, args.base)
    files.write_record(root / OUT, plan)
    _hand_over(plan)
    print(plan.model_dump_json(indent=2) if args.json else in_words(plan))
    return 0


def in_words(plan: Plan, shown: Callable[[str], str] = quiet) -> str:
    """The plan as a Markdown list, a reason a line, each put through `shown`."""
    lines = [f"- {model}: {shown(reason)}" for model, reasons in plan.reasons.items() for reason in reasons]
    return "\n".join([f"plan: {shown(plan.words)}", *lines])


def _smoke(root: Path, named: Sequence[str], ref: str | None) -> Plan:
    if named:
        raise ConfigurationError(f"'{named[0]}' is named, but what is checked is what changed; leave it out.")
    models = gate.configured(root, ())
    evidence = _evidence(root, models, ref)
    _require_sealed(root, evidence.paths)
    return decide(models, evidence)


def _require_sealed(root: Path, paths: Iterable[str]) -> None:
    """Raise ConfigurationError for a changed release.yaml that Trunkline did not write, or not for that place.

    It touches no model, so no leg would tell; after the merge it would stop the model's releases.
    """
    for path in paths:
        if release.PLACE.fullmatch(path) and (root / path).is_file():
            release.parse((root / path).read_text(encoding="utf-8", errors="replace"), path)


def _full(root: Path, named: Sequence[str], ref: str | None) -> Plan:
    """The models that are named, or that changed, and whose full training dvc.lock lacks."""
    base = git.merge_base(root, ref)
    models = gate.configured(root, named) if named else _smoke(root, (), ref).models
    stale, lock, pins = dvc.stale(root), dvc.lock_of(root), dvc.pinned(root)
    return training.to_train({model: training.behind(model, lock, stale, pins) for model in models}, base)


def _evidence(root: Path, models: Sequence[str], ref: str | None) -> Evidence:
    base = git.merge_base(root, ref)
    if base is None:
        return Evidence(base=None, shallow=git.is_shallow(root))
    paths = git.changed_paths(root, base)
    return Evidence(
        base=base,
        paths=paths,
        stale=dvc.stale(root),
        lock_before=dvc.lock(git.show(root, base, "dvc.lock")),
        lock_after=dvc.lock_of(root),
        pins_before=data.pinned_at(root, base, paths),
        pins_after=dvc.pinned(root),
        unlisted=_unlisted(root, models, base, paths),
    )


def _unlisted(root: Path, models: Sequence[str], base: str, paths: Iterable[str]) -> frozenset[str]:
    """Folders of ml/models that changed and were models at the base: a params.yaml that the change adds is no proof."""
    folders = {folder for path in paths if (folder := folder_of(path)) and folder not in models}
    return frozenset(
        folder for folder in folders if git.show(root, base, f"ml/models/{folder}/params.yaml") is not None
    )


def _hand_over(plan: Plan) -> None:
    """Give GitHub Actions the job outputs `models` (a JSON list) and `any`, and the words for the run's page."""
    outputs = f"models={json.dumps(plan.models)}\nany={'true' if plan.models else 'false'}\n"
    for name, text in (("GITHUB_OUTPUT", outputs), ("GITHUB_STEP_SUMMARY", f"{in_words(plan, escape)}\n")):
        if path := os.environ.get(name):
            with Path(path).open("a", encoding="utf-8") as out:
                out.write(text)
