"""`trunkline check`: from the working tree to a verdict and a report, the same on a laptop and in CI."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import dvc, git, locks
from ci.commands import stages

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ci.core.records import Mode, Verdict

MODE: Mode = "smoke"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="which models; all when none is named")
    parser.add_argument("--base", metavar="REF", help="compare with the merge base of HEAD and REF")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check the models named, print the verdict table, write the reports; the exit code is the worst verdict's."""
    root = Path.cwd()
    git.require_repository(root)
    git.require_untracked(root)
    with locks.check(root):
        with ThreadPoolExecutor(max_workers=1) as aside:
            asked = aside.submit(dvc.stale, root)
            # DVC takes half a second to answer: what else is needed is imported and read meanwhile.
            from ci.commands import candidate, gate  # noqa: PLC0415
            from ci.commands.baseline import MergeBase  # noqa: PLC0415
            from ci.commands.table import print_verdicts  # noqa: PLC0415

            models = gate.configured(root, args.models)
            base = git.merge_base(root, args.base)
            stale = _up_to_date(root, models, asked.result())
        with MergeBase(root, MODE, base) as merge_base:
            verdicts = [candidate.judge(root, model, merge_base, stale) for model in models]
        _report(root, verdicts)
    print_verdicts(verdicts)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _annotate(root, verdicts)
    return gate.exit_code(verdicts)


def _up_to_date(root: Path, models: Sequence[str], stale: dict[str, Any]) -> dict[str, Any]:
    """Bring data and stages of `models` up to date and return what was not, as DVC told it beforehand.

    A model that fails leaves a problem.json that says why; the others go on.
    """
    from ci.commands import data  # noqa: PLC0415 - as above

    if data.behind(root, stale, models):
        stale = data.ensure(root, models)
    for model in models:
        stages.bring_up(root, model, MODE, stale)
    return stale


def _annotate(root: Path, verdicts: Sequence[Verdict]) -> None:
    """Point GitHub at the lines that schema and configuration errors are about."""
    from ci.core import annotations  # noqa: PLC0415 - as above

    for verdict in verdicts:
        schema = root / "ml" / "models" / verdict.model / "schema.py"
        for line in annotations.of_verdict(verdict, schema.read_text() if schema.is_file() else ""):
            print(line)


def _report(root: Path, verdicts: Sequence[Verdict]) -> None:
    """Write the reports, unless the ones that lie there were made from these very verdicts."""
    from ci.adapters import files  # noqa: PLC0415 - as above

    text = "".join(verdict.model_dump_json() for verdict in verdicts)
    key = hashlib.sha256(text.encode()).hexdigest() + "\n"
    path = root / "artifacts" / "report.key"
    written = [path.with_name("report.md"), path.with_name("report.html")]
    written += [root / "artifacts" / verdict.model / "report.md" for verdict in verdicts]
    is_there = all(each.is_file() for each in written) and path.is_file() and path.read_text() == key
    if is_there and "GITHUB_STEP_SUMMARY" not in os.environ:
        return
    from ci.commands.report import write_reports  # noqa: PLC0415 - jinja2 and matplotlib only where a report is due

    path.unlink(missing_ok=True)
    write_reports(root, verdicts)
    files.write_text(path, key)
