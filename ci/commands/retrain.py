"""`trunkline retrain`: proposes to train a model again where its drift calls for that, as one pull request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import files, forge, git, history, locks
from ci.core.drift.records import Drift
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

RECORD = "drift.json"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--record", type=Path, metavar="PATH", help="artifacts/MODEL/drift/drift.json where not named")
    parser.add_argument(
        "--verdict", type=Path, metavar="PATH", help="of its candidate; artifacts/MODEL/full/verdict.json if not named"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decide, and make the pull request what that comes to; again, it finds that done."""
    from ci.commands.retraining import Retraining  # noqa: PLC0415 - the help needs none of what acts

    root, model = Path.cwd(), args.model
    git.require_repository(root)
    history.require_whole(root)
    drift = drift_of(model, args.record)
    verdict = args.verdict or root / "artifacts" / model / "full" / "verdict.json"
    with locks.exclusive(root / ".trunkline" / f"retrain-{model}.lock", f"another retraining of {model}"):
        Retraining(root, forge.of(root), model, drift, verdict).go(dry_run=args.dry_run)
    return 0


def drift_of(model: str, named: Path | None) -> Drift:
    """The record of the model's newest window. Raises ConfigurationError where there is none, or another model's."""
    path = named or Path("artifacts") / model / "drift" / RECORD
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing; run `trunkline drift {model}`, which writes it.", file=path)
    drift = files.read_record(path, Drift)
    if drift.model != model:
        raise ConfigurationError(f"{path} is about {drift.model}, not {model}; name the record of {model}.", file=path)
    return drift
