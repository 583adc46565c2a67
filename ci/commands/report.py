"""`trunkline report`: verdicts on disk to Markdown, HTML and pictures."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import files
from ci.commands import collect
from ci.core.errors import ConfigurationError, EnvironmentFault, did_you_mean
from ci.core.reporting.report import marker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ci.core.records import Verdict

WORKFLOW, FULL_WORKFLOW = "check", "train"
SUMMARY_LIMIT = 1024 * 1024  # bytes that GitHub takes from one step


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="which models; all that have a verdict by default")
    parser.add_argument("--mode", choices=("smoke", "full"), default="smoke", help="the size that was judged")
    parser.add_argument(
        "--verdicts",
        action="append",
        type=Path,
        metavar="DIR",
        help="where to look for verdict.json, at any depth; may be given often (default: artifacts)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the reports and print where they are."""
    root = Path.cwd()
    verdicts = read_verdicts(args.verdicts or [Path("artifacts")], args.mode, args.models)
    for path in write_reports(root, verdicts):
        print(path.relative_to(root))
    return 0


def read_verdicts(folders: Sequence[Path], mode: str, models: Sequence[str] = ()) -> list[Verdict]:
    """The verdicts of `mode` under `folders`, of `models` alone when any is named, by name.

    Raises ConfigurationError for a record that is not whole or is there twice, and where there is none to report.
    """
    found: dict[str, Verdict] = {}
    for folder in folders:
        for verdict in collect.verdicts(folder):
            if verdict.mode != mode:
                continue
            if verdict.model in found:
                raise ConfigurationError(f"{folder} holds a second {mode} verdict of '{verdict.model}'; keep one.")
            found[verdict.model] = verdict
    if not found:
        where = ", ".join(str(folder) for folder in folders)
        raise ConfigurationError(f"No verdict.json of {mode} mode lies under {where}; run `trunkline check` first.")
    for model in models:
        if model not in found:
            raise ConfigurationError(f"Model '{model}' has no verdict in {mode} mode; {did_you_mean(model, found)}")
    return [found[model] for model in sorted(found) if not models or model in models]


def write_reports(root: Path, verdicts: Sequence[Verdict]) -> list[Path]:
    """Write the reports of `verdicts` under `root`/artifacts and return their paths.

    Each model, of which there is one verdict, gets report.md and plots; all of them share artifacts/report.md, which
    is also added to the summary of a GitHub step, and artifacts/report.html. Raises EnvironmentFault where the disk
    refuses.
    """
    from ci.adapters import charts, templates  # noqa: PLC0415 - jinja2 stays out of what only finds verdicts

    artifacts = root / "artifacts"
    pictures: dict[str, dict[str, str]] = {}
    written: list[Path] = []
    for verdict in verdicts:
        report, *drawn = _write(artifacts / verdict.model, verdict, WORKFLOW)
        pictures[verdict.model] = {charts.NAMES[path.stem]: _data_uri(path) for path in drawn}
        written += [report, *drawn]
    together = templates.render_markdown(verdicts)
    files.write_text(artifacts / "report.md", together)
    files.write_text(artifacts / "report.html", templates.render_html(verdicts, pictures))
    add_to_step_summary(together)
    return [*written, artifacts / "report.md", artifacts / "report.html"]


def write_full(root: Path, verdict: Verdict) -> Path:
    """Write report.md and plots of a full training beside its records, add it to the summary of a GitHub step."""
    report, *_ = _write(root / "artifacts" / verdict.model / verdict.mode, verdict, FULL_WORKFLOW)
    add_to_step_summary(report.read_text())
    return report


def _write(folder: Path, verdict: Verdict, workflow: str) -> list[Path]:
    """Write report.md, as the comment of `workflow` has it, and the plots of one model; report.md comes first."""
    from ci.adapters import charts, templates  # noqa: PLC0415 - as above

    drawn = charts.write_charts(folder / "plots", verdict)
    text = templates.render_markdown([verdict], marker=marker(workflow, verdict.model))
    files.write_text(folder / "report.md", text)
    return [folder / "report.md", *drawn]


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"


def add_to_step_summary(text: str) -> None:
    """Append to the file that GitHub shows on the run's page, or a line where the file would get too large for it."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    path = Path(name)
    try:
        size = path.stat().st_size if path.exists() else 0
        fits = size + len(text.encode()) + 1 <= SUMMARY_LIMIT
        short = "The report is in artifacts/report.md: this summary has no more room for it.\n"
        with path.open("a", encoding="utf-8") as summary:
            summary.write(f"{text if fits else short}\n")
    except OSError as fault:
        raise EnvironmentFault(
            f"{path}, the step summary of GITHUB_STEP_SUMMARY, could not be written: {fault.strerror}.", file=path
        ) from fault
