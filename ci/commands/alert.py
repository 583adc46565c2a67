"""`trunkline alert`: tells people what is in alarm, once on each channel that is declared, and when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import forge, git, history, kept, locks
from ci.commands import declared, merged
from ci.commands.legs import raise_worst
from ci.commands.retrain import drift_of
from ci.core import alerts
from ci.core.alerts import Alerts
from ci.core.errors import EnvironmentFault, TrunklineError
from ci.core.loglines import quiet

if TYPE_CHECKING:
    import argparse

    from ci.adapters.forge import Forge
    from ci.adapters.kept import Held
    from ci.core.alerts import Message
    from ci.core.drift.rules import Alert

FILE = "alerts.json"
ROUNDS = 5


def ref_of(model: str) -> str:
    """Where the record of what was told of a model is."""
    return f"refs/trunkline/alerts/{model}"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--record", type=Path, metavar="PATH", help="artifacts/MODEL/drift/drift.json where not named")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be told, and where")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tell it. A channel that fails keeps no other back, and is tried again by the next run."""
    root, model = Path.cwd(), args.model
    git.require_repository(root)
    history.require_whole(root)
    drift = drift_of(model, args.record)
    there = forge.of(root)
    channels = declared.of(merged.at_forge(root, there), model).rules.alerts
    if not channels:
        print(f"{model}: params.yaml declares no alerts")
        return 0
    faults: list[TrunklineError] = []
    with locks.exclusive(root / ".trunkline" / f"alert-{model}.lock", f"another alert of {model}"):
        due = alerts.due(drift, _held(root, there, model).record or Alerts(model=model), channels)
        if not due:
            print(f"{model}: nothing to tell that was not told")
        by_name = {alerts.name_of(channel): channel for channel in channels}
        for message in due:
            said = f"{model}: {message.channel}: {message.status}: {quiet(alerts.title(message))}"
            if args.dry_run:
                print(f"{said} (would be told)")
                continue
            try:
                _send(root, there, by_name, message)
            except TrunklineError as fault:
                faults.append(fault)
            else:
                print(said)
    raise_worst(faults)
    return 0


def _send(root: Path, there: Forge, channels: dict[str, Alert], message: Message) -> None:
    """Send, then keep that it was: a run that is killed between the two tells it again, under the same id."""
    from ci.adapters.alerts import send  # noqa: PLC0415 - requests only where something is sent

    send(channels[message.channel], message, there)
    for _ in range(ROUNDS):
        held = _held(root, there, message.model)
        after = alerts.after(held.record or Alerts(model=message.model), message)
        words = f"Alerts of {message.model}: {message.channel} {message.status}"
        if kept.write(root, there, ref_of(message.model), FILE, after, held, words) is not None:
            return
    raise EnvironmentFault(f"what was told of {message.model} was written by others all the time; run this again.")


def _held(root: Path, there: Forge, model: str) -> Held[Alerts]:
    return kept.read(root, there, ref_of(model), FILE, Alerts, "record of alerts")
