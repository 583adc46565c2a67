"""`trunkline audit`: what an environment ran when, who agreed, and on what evidence, from git alone."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import files, git, history
from ci.commands.console import console
from ci.core.auditing import Span, spans, waiver
from ci.core.errors import ConfigurationError, did_you_mean
from ci.core.loglines import quiet
from ci.core.params import parse_root

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ci.core.params import Releasing
    from ci.core.records import Waiver
    from ci.core.release import Version


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--environment", metavar="NAME", help="which one; the last of params.yaml when none is named")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the spans of one model in one environment, oldest first."""
    root = Path.cwd()
    git.require_repository(root)
    params = parse_root(*files.read_yaml(root / "params.yaml"))
    model, environment = args.model, _environment(params.release, args.environment)
    changes = [
        change for change in history.manifests(root) if (change.model, change.environment) == (model, environment)
    ]
    if not changes and model not in params.models:  # one that was taken out of params.yaml still has its past
        raise ConfigurationError(f"there is no model '{model}' in params.yaml; {did_you_mean(model, params.models)}")
    found = _with_evidence(root, spans(changes))
    if args.json:
        print(json.dumps([span.model_dump(mode="json") for span in found], indent=2))
    elif found:
        _print(model, environment, found)
    else:
        print(f"{model} was never released to {environment}.")
    return 0


def _environment(release: Releasing | None, named: str | None) -> str:
    known = list(release.environments) if release else []
    if not known:
        raise ConfigurationError("params.yaml has no `release`, and so no environments; add it.", file="params.yaml")
    if named is not None and named not in known:
        raise ConfigurationError(f"there is no environment '{named}' in params.yaml; {did_you_mean(named, known)}")
    return named or known[-1]


def _with_evidence(root: Path, found: Sequence[Span]) -> list[Span]:
    """The same with the model card of each commit, and the waivers that its newest version was judged with."""
    cards, folders = [_card(span) for span in found], [_waiver_folder(span) for span in found]
    there = history.there(root, [name for name in (*cards, *folders) if name])
    return [
        span.model_copy(
            update={
                "evidence": f"git show {card}" if card in there else None,
                "waivers": _waivers(root, folder, span.since) if folder in there else (),
            }
        )
        for span, card, folder in zip(found, cards, folders, strict=True)
    ]


def _card(span: Span) -> str:
    newest = span.canary or span.stable
    return f"{span.commit}:k8s/models/{newest.lineage.model}/{span.environment}/card.md" if newest else ""


def _waiver_folder(span: Span) -> str:
    newest = span.canary or span.stable
    return f"{newest.lineage.commit}:ml/models/{newest.lineage.model}/waivers" if newest else ""


def _waivers(root: Path, folder: str, since: str) -> tuple[Waiver, ...]:
    commit, _, path = folder.partition(":")
    names = [name for name in history.folder(root, commit, path) if name.endswith(".yaml")]
    texts = history.texts(root, [f"{commit}:{name}" for name in names])
    day = datetime.fromisoformat(since).date()
    return tuple(waiver(text, name, day) for name, text in zip(names, texts, strict=True) if text is not None)


def _print(model: str, environment: str, found: Sequence[Span]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where something is printed
    from rich.text import Text  # noqa: PLC0415 - as above

    out = console(240)
    table = Table(title=f"{model} in {environment}", title_justify="left", title_style="bold")
    for name in ("since", "stable", "canary", "commit", "merged by", "approved by", "waivers", "evidence"):
        table.add_column(name, overflow="fold")
    for span in found:
        agreed = span.approval
        cells = (
            span.since,
            _version(span.stable) if span.readable else "not known: the file was removed or edited by hand",
            f"{_version(span.canary)} at {span.weight} %" if span.canary else "",
            f"{span.commit[:12]} {span.subject}",
            agreed.merged_by or "not known" if agreed else f"not known; committed by {span.author}",
            ", ".join(agreed.approved_by) or "nobody" if agreed else "not known",
            "; ".join(f"{one.gate} by {one.who} until {one.expires}: {one.reason}" for one in span.waivers),
            span.evidence or ("no model card" if span.readable else ""),
        )
        table.add_row(*(Text(quiet(cell)) for cell in cells))
    out.print(table)


def _version(version: Version | None) -> str:
    return f"{version.version} (model {version.lineage.model_hash[:12]}, {version.digest[:19]})" if version else ""
