"""`trunkline preview`: the rendered manifests are what runs, on this machine. Production is Kubernetes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ci.adapters import docker, locks, programs, scraper, traefik
from ci.adapters.containers import Containers
from ci.adapters.processes import Processes
from ci.adapters.remote import Remote
from ci.commands import following, gate
from ci.commands.console import console
from ci.commands.following import Branch, Follower, Manifests, Source, Tree
from ci.commands.previewing import Preview
from ci.core.errors import ConfigurationError, EnvironmentFault, TrunklineError, did_you_mean
from ci.core.image import reference
from ci.core.loglines import quiet

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from ci.adapters.pods import Runner
    from ci.core.params import Releasing
    from ci.core.preview.shown import Shown

PLACE = ".trunkline/preview"
PAUSE = 0.1  # seconds between two looks at what runs
LOOPBACK = ("127.0.0.1", "localhost")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="only these models (default: all of params.yaml)")
    parser.add_argument("--environment", metavar="NAME", help="the environment (default: the last of params.yaml)")
    parser.add_argument("--port", type=int, metavar="N", help="where models are asked (default: a free one)")
    parser.add_argument("--ref", metavar="BRANCH", help="follow this branch, not the working tree")
    parser.add_argument("--repository", metavar="URL", help="the repository of that branch (default: this one)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM. Raises TrunklineError where what is there at the start cannot be run."""
    root = Path.cwd()
    rules = gate.root_params(root).release
    if rules is None:
        raise ConfigurationError("params.yaml has no `release`, so there is no environment to run.", file="params.yaml")
    if args.repository and not args.ref:
        raise ConfigurationError("--repository without --ref says not what to follow; add --ref main.")
    environment = args.environment or list(rules.environments)[-1]
    if environment not in rules.environments:
        words = did_you_mean(environment, rules.environments)
        raise ConfigurationError(f"there is no environment '{environment}' in params.yaml; {words}", file="params.yaml")
    models = gate.configured(root, args.models)
    place = root / PLACE
    with locks.alone(place / "lock", "another preview"):
        source: Source = Tree(root)
        if args.ref:
            source = Branch(Remote(root, args.repository or str(root)), args.ref, place / "manifests")
        follower = Follower(source, lambda at, words: following.render(at, words, models, environment), _say)
        manifests = follower.first()
        try:
            _run(_preview(place, rules, args.port), follower, manifests, environment)
        finally:
            follower.end()
    return 0


def _preview(place: Path, rules: Releasing, port: int | None) -> Preview:
    """All parts of a preview, none of which runs yet; what an earlier one left is taken away."""
    place.mkdir(parents=True, exist_ok=True)
    programs.end_leftovers(place)
    runner = _runner(place, rules)
    if left := runner.end_leftovers():
        _say(f"took away {left} pods that an earlier preview left")
    chosen = programs.free_port(port)
    if port is not None and chosen != port:
        raise EnvironmentFault(f"port {port} of this machine is taken; name another with --port.")
    found = scraper.program()
    if found is None:
        _say(scraper.HINT)
    watching = scraper.Scraper(found, place, _scraped_at(rules)) if found else None
    return Preview(place, runner, traefik.Traefik(place, chosen, programs.free_port()), watching, _say)


def _runner(place: Path, rules: Releasing) -> Runner:
    home = reference.parse(f"{rules.registry}/probe:probe").host
    try:
        client = docker.connect()
    except EnvironmentFault as fault:
        _say(f"{fault.message} Until then pods are processes here, without a container's isolation.")
        return Processes(place, home)
    Processes(place, home).end_leftovers()  # of a preview when docker was missing
    return Containers(client, place, home)


def _scraped_at(rules: Releasing) -> int:
    """The port where rollouts look for Prometheus, where that is this machine's and free, else another."""
    asked = urlsplit(os.environ.get("TRUNKLINE_PROMETHEUS") or rules.prometheus)
    return programs.free_port(asked.port if asked.hostname in LOOPBACK else None)


def _run(preview: Preview, follower: Follower, manifests: Manifests, environment: str) -> None:
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal calls it
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    _say(f"a preview of {environment} from {manifests.words}, on this machine: production is Kubernetes")
    try:
        _take(preview, manifests, first=True)
        preview.start()
        shown: Shown | None = None
        while not ended.wait(PAUSE):
            if (news := follower.news()) is not None:
                _take(preview, news)
            preview.step()
            if preview.settled and (now := preview.shown()) != shown:
                if shown is None:
                    _print(now)
                shown = now
    finally:
        _say("ending all that was started")
        preview.end()
        for number, handler in before.items():  # not sooner: a second Ctrl-C would leave pods behind
            signal.signal(number, handler)


def _take(preview: Preview, manifests: Manifests, *, first: bool = False) -> None:
    """Hand on manifests; later ones that cannot be run leave everything as it is."""
    try:
        preview.want(manifests)
    except TrunklineError as fault:
        if first:
            raise
        _say(f"{manifests.words}: {fault.message} What runs goes on as before.")
        return
    if not first:
        _say(f"follows {manifests.words}")
    for model in manifests.unreleased:
        _say(f"{model} has no release there yet; it runs as soon as one is merged")


def _say(words: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {quiet(words)}", file=sys.stderr, flush=True)


def _print(shown: Shown) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where something is printed
    from rich.text import Text  # noqa: PLC0415 - as above

    out = console()
    table = Table("deployment", "track", "version", "image", "answers at", "runs as")
    for pod in shown.pods:
        digest = pod.image.rpartition("@")[2][:19]
        cells = (pod.owner, pod.track, pod.version, digest, pod.address, pod.runs)
        table.add_row(*(Text(quiet(cell)) for cell in cells))
    out.print(table)
    print(f"models answer at {shown.url}/v2/models/<model>; Traefik's metrics are at http://{shown.traefik}/metrics")
    if shown.prometheus:
        print(f"Prometheus is at {shown.prometheus}; for rollouts: export TRUNKLINE_PROMETHEUS={shown.prometheus}")
    sys.stdout.flush()
