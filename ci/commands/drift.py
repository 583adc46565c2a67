"""`trunkline drift`: holds the newest window of a model's data, predictions and service to what it was trained on."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import files, forge, git, history, locks
from ci.commands import gate
from ci.commands.legs import raise_worst, tell
from ci.commands.windowing import Readers
from ci.core.drift import rules
from ci.core.errors import ConfigurationError, TrunklineError
from ci.core.loglines import quiet
from ci.core.records import Outcome
from ci.core.strict import Place

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ci.core.drift.records import Drift
    from ci.core.drift.rules import Rules

ALARM = 3
NONE = "no model is watched: none has drift.log or drift.rows in params.yaml"
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="which models; all that are watched if none is named"
    )
    parser.add_argument("--plan", action="store_true", help="only say which models are watched")
    parser.add_argument(
        "--end", metavar="TIME", help="where the window ends (ISO 8601; default: the last midnight, UTC)"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes that read the window (default: 1)"
    )
    parser.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster that reads the log instead; `local` starts one")
    parser.add_argument("--log", metavar="URL", help="the inference log (default: drift.log of params.yaml)")
    parser.add_argument("--labels", metavar="URL", help="labels that came later (default: drift.labels of params.yaml)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look at each model that is watched; 3 where one drifted. One that cannot be looked at keeps no other back."""
    root = Path.cwd()
    git.require_repository(root)
    given = {name: url for name in ("log", "labels") if (url := getattr(args, name))}
    watched, faults = _watched(root, args.models, given)
    if args.plan:
        return _plan(watched, faults)
    if args.workers < 1:
        raise ConfigurationError(f"--workers is {args.workers}; give 1 or more.")
    history.require_whole(root)
    return _look_at(root, watched, faults, end_of(args.end, datetime.now(UTC)), Readers(args.workers, args.ray))


def _watched(
    root: Path, models: Sequence[str], given: Mapping[str, str]
) -> tuple[dict[str, Rules], dict[str, TrunklineError]]:
    """How each model is watched that is, and what is wrong with what others say of that."""
    watched: dict[str, Rules] = {}
    faults: dict[str, TrunklineError] = {}
    for model in gate.configured(root, models):
        try:
            found = rules_of(root, model).model_copy(update=given)
        except ConfigurationError as fault:
            faults[model] = fault
            continue
        if found.log or found.rows:
            watched[model] = found
        elif models:
            faults[model] = ConfigurationError(
                f"{model} is not watched: its params.yaml has neither drift.log nor drift.rows; say there, or with "
                "--log, where its inference log is."
            )
    return watched, faults


def rules_of(root: Path, model: str) -> Rules:
    """How drift of a model is judged: its own `drift` over the defaults, and how long labels take by its `split`.

    Raises ConfigurationError.
    """
    path = f"ml/models/{model}/params.yaml"
    raw, line_of = files.read_yaml(root / path)
    own = raw if isinstance(raw, dict) else {}
    found = rules.parse_rules(
        gate.root_params(root).defaults.drift, own.get(rules.KEY), Place(path, line_of).at(rules.KEY)
    )
    split = own.get("split")
    days = split.get("delay_days") if isinstance(split, dict) else None
    return found if found.delay_days is not None else found.model_copy(update={"delay_days": days or 0})


def end_of(said: str | None, now: datetime) -> datetime:
    """The end of the window in UTC: as `said`, where a time without a zone is UTC, else the last midnight.

    Raises ConfigurationError for what is no time, or one that is not over yet.
    """
    if said is None:
        return now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        found = datetime.fromisoformat(said)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"--end is {said!r}; write it like 2026-11-27 or 2026-11-27T06:00+01:00.") from None
    if not EARLIEST < found <= now:
        raise ConfigurationError(f"--end is {said}, and it is {now:%Y-%m-%dT%H:%M} UTC; a window is of what is over.")
    return found


def _plan(watched: Mapping[str, Rules], faults: Mapping[str, TrunklineError]) -> int:
    """Say which models are watched, and hand a workflow its matrix; what is wrong with one is its own leg's to tell."""
    for model, found in watched.items():
        print(f"{model}: {'its inference log' if found.log else 'its labelled rows'}, {found.days} days at a time")
    for model, fault in faults.items():
        print(f"{model}: {quiet(fault.message)}")
    models = [*watched, *faults]
    if not models:
        print(NONE)
    _hand_over(models=json.dumps(models), any="true" if models else "false")
    return 0


def _look_at(
    root: Path, watched: Mapping[str, Rules], wrong: Mapping[str, TrunklineError], end: datetime, readers: Readers
) -> int:
    from ci.commands.drifting import Drifting  # noqa: PLC0415 - a plan needs none of what looks

    there, faults, alarm = forge.of(root), list(wrong.values()), False
    for model, found in watched.items():
        span = (max(end - timedelta(days=found.days), EARLIEST), end)
        try:
            with locks.exclusive(root / ".trunkline" / f"drift-{model}.lock", f"another look at the drift of {model}"):
                drift, missed = Drifting(root, there, model, found, span).look(readers)
        except TrunklineError as fault:
            faults.append(fault)
            continue
        faults += missed
        alarm = alarm or drift.outcome is Outcome.FAIL
        _tell(drift)
    if not watched and not wrong:
        print(NONE)
    if faults and alarm:
        tell(faults)
    elif faults:
        raise_worst(faults)
    return ALARM if alarm else 0


def _tell(drift: Drift) -> None:
    from ci.commands.drifttable import print_drift  # noqa: PLC0415 - as above

    print_drift(drift)
    _hand_over(outcome=drift.outcome.value)


def _hand_over(**outputs: str) -> None:
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as out:
            out.writelines(f"{name}={quiet(value)}\n" for name, value in outputs.items())
