"""`trunkline analyze`: one look at a rollout that changes nothing, or a server of such looks for a controller."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import answering
from ci.commands.analyst import Analyst, at_hand, newest
from ci.commands.console import console
from ci.core.analysis import Unknown, answer
from ci.core.errors import ConfigurationError, EnvironmentFault, TrunklineError
from ci.core.loglines import quiet

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from ci.core.canary.records import Rollout

PLACE = re.compile(r"/v1/analysis/(?P<environment>[^/]+)/(?P<model>[^/]+)")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help="the model to look at")
    parser.add_argument("--environment", metavar="NAME", help="where it is rolled out")
    parser.add_argument("--serve", action="store_true", help="answer GET /v1/analysis/<environment>/<model>")
    parser.add_argument(
        "--host", default="127.0.0.1", help="with --serve: the address to listen at (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8080, help="with --serve: the port (default: %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what one rollout has shown, or answer until SIGTERM."""
    root = Path.cwd()
    if args.serve == bool(args.model or args.environment):
        raise ConfigurationError("name MODEL and --environment, or --serve alone.")
    if args.serve:
        return _serve(root, args.host, args.port)
    if not (args.model and args.environment):
        raise ConfigurationError("name both MODEL and --environment.")
    _print(Analyst(lambda: at_hand(root)).look(args.model, args.environment))
    return 0


def _serve(root: Path, host: str, port: int) -> int:
    analyst = Analyst(lambda: newest(root))

    def ready(port: int) -> None:
        print(f"answering at http://{host}:{port}/v1/analysis/<environment>/<model>", flush=True)

    try:
        answering.serve(host, port, lambda path, query: _answer(analyst, path, query), ready)
    except OSError as fault:
        raise EnvironmentFault(f"cannot listen at {host}:{port}: {fault.strerror or fault}.") from fault
    return 0


def _answer(analyst: Analyst, path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
    """Status and JSON. What is no decision is an error to Argo Rollouts, which then asks again."""
    place = PLACE.fullmatch(path)
    if place is None:
        return 404, {"error": "there is nothing at this path; ask for /v1/analysis/<environment>/<model>"}
    try:
        weight = _weight(query.get("weight"))
        seen = analyst.look(place["model"], place["environment"], version=query.get("version"), weight=weight)
    except TrunklineError as fault:
        print(f"trunkline: {quiet(fault.message)}", file=sys.stderr)
        status = 404 if isinstance(fault, Unknown) else 503 if isinstance(fault, EnvironmentFault) else 409
        return status, {"error": fault.message}
    return 200, answer(seen)


def _weight(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise Unknown(f"weight is {text[:20]!r}; it is a number of per cent.")
    return int(text)


def _print(seen: Rollout) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where something is printed
    from rich.text import Text  # noqa: PLC0415 - as above

    out = console()
    table = Table("metric", "canary", "stable", "odds", "tolerated", "e-value", "certain from", "verdict")
    for one in seen.evidence:
        shares = one.shares[:1]
        verdict = Text("worse", style="bold red") if one.worse else Text("not worse so far", style="green")
        table.add_row(
            Text(quiet(f"{one.metric}: {shares[0].name}" if shares else one.metric)),
            *(f"{share:.4g}" for each in shares for share in (each.canary, each.stable)),
            *(("", "") if not shares else ()),
            "" if one.effect is None else f"{one.effect:.3g}",
            f"{one.tolerated:g}",
            f"{one.e:.3g}",
            f"{one.needed:.3g}",
            verdict,
        )
    out.print(table)
    decision = seen.decision
    out.print(
        Text(quiet(f"{seen.model} in {seen.environment}, {seen.step.weight} %: {decision.action}: {decision.words}"))
    )
    for fact in decision.facts:
        out.print(Text(quiet(f"  {fact}")))
