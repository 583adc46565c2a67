"""`trunkline doctor`: looks at what the line needs, and says of each thing what is missing and what to do about it.

What is not set up is `missing`: the line does without, and the words say what it then cannot do. What is set up and
does not work is `broken`, and makes the exit code 2.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ci.adapters import files, git, kustomize, shell
from ci.commands import findings, forgecheck
from ci.commands.console import console
from ci.commands.findings import Finding
from ci.core.errors import ConfigurationError, TrunklineError
from ci.core.loglines import quiet
from ci.core.params import parse_root

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ci.commands.findings import State
    from ci.core.params import Root

STYLES: dict[State, str] = {"ok": "green", "missing": "yellow", "broken": "bold red"}
GIT = (2, 38)  # the first with `git merge-tree --write-tree`
EXTRA = "`pip install 'trunkline[release]'` brings it"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command has these
    """Print a table of what was found: 0, or 2 where something is broken."""
    root = Path.cwd()
    git.require_repository(root)
    params = parse_root(*files.read_yaml(root / "params.yaml"))
    checks: dict[str, Callable[[], list[Finding]]] = {
        "git": lambda: [_git(root)],
        "forge": lambda: forgecheck.found(root, params),
        "DVC remote": lambda: [_storage(root)],
        "MLflow": lambda: [_mlflow(root)],
        "docker": lambda: [_docker(params)],
        "image registry": lambda: [_registry(params)],
        "Prometheus": lambda: [_prometheus(params)],
        "kubectl": lambda: [_kubectl()],
        "GPU": lambda: [_gpu()],
    }
    found = findings.all_of(checks)
    _print(found)
    broken = sum(finding.state == "broken" for finding in found)
    if broken:
        print(f"trunkline: {broken} of {len(found)} are broken.", file=sys.stderr)
    return 2 if broken else 0


def _git(root: Path) -> Finding:
    version = shell.run(["git", "--version"]).out
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < GIT:
        wanted = ".".join(map(str, GIT))
        return Finding("git", "broken", f"{version.strip()}; pull requests are made with {wanted} or newer.")
    if git.is_shallow(root):
        return Finding(
            "git",
            "broken",
            "this clone is shallow, so lineage and baselines are out of sight; run `git fetch --unshallow`, or give "
            "actions/checkout `fetch-depth: 0`.",
        )
    return Finding("git", "ok", version.strip())


def _storage(root: Path) -> Finding:
    from ci.adapters import storage  # noqa: PLC0415 - DVC takes most of a second to import

    try:
        return Finding("DVC remote", "ok", f"{storage.require_writable(root)} can be written and read.")
    except ConfigurationError as fault:
        return Finding("DVC remote", "missing", fault.message)


def _mlflow(root: Path) -> Finding:
    if find_spec("mlflow") is None:
        return Finding("MLflow", "missing", f"mlflow is not installed, so nothing can be registered; {EXTRA}.")
    from ci.adapters.mlflow import Models  # noqa: PLC0415 - takes a while to import

    models = Models(root)
    if not os.environ.get("MLFLOW_TRACKING_URI") and not (root / ".trunkline" / "mlflow.db").exists():
        return Finding("MLflow", "ok", f"{models.shown}, made when something is first registered.")
    _ = models.client  # raises unless it answers
    return Finding("MLflow", "ok", f"{models.shown} answers.")


def _docker(params: Root) -> Finding:
    if find_spec("docker") is None:
        return Finding("docker", "missing", f"docker's SDK is not installed, so no image can be built; {EXTRA}.")
    from ci.adapters import docker  # noqa: PLC0415 - takes a while to import
    from ci.core.image import reference  # noqa: PLC0415 - as above

    base = os.environ.get("TRUNKLINE_BASE_IMAGE") or (params.release.base if params.release else "")
    try:
        client = docker.connect()
        version = client.version()["Version"]
        is_here = not base or docker.has(client, base)
    except TrunklineError as fault:
        return Finding("docker", "broken" if os.environ.get("DOCKER_HOST") else "missing", fault.message)
    if base and not reference.is_pinned(base):
        words = f"the base image {base} is a tag that moves, and refused; `trunkline image MODEL` says what to write."
        return Finding("docker", "missing", words)
    if not is_here and "@" not in base:
        words = f"docker {version} answers, without the base image {base}, an id that cannot be pulled; make it there."
        return Finding("docker", "missing", words)
    later = "" if is_here else f" The base image {base} is not there yet: the first build pulls it."
    return Finding("docker", "ok", f"docker {version} answers.{later}")


def _registry(params: Root) -> Finding:
    what = "image registry"
    if params.release is None:
        return Finding(what, "missing", "params.yaml names none; write release.registry as HOST[:PORT]/PATH.")
    if find_spec("docker") is None:
        return Finding(what, "missing", f"docker's SDK is not installed, so no image can be pushed; {EXTRA}.")
    from ci.adapters import registry  # noqa: PLC0415 - takes a while to import
    from ci.core.image import reference  # noqa: PLC0415 - as above

    where = params.release.registry
    try:
        registry.require_reachable(where)
    except TrunklineError as fault:
        here = reference.parse(f"{where}/probe:probe").is_loopback  # what nobody has started yet is not out of order
        return Finding(what, "missing" if here else "broken", fault.message)
    return Finding(what, "ok", f"{where} answers.")


def _prometheus(params: Root) -> Finding:
    what = "Prometheus"
    if params.release is None:
        return Finding(
            what, "missing", "params.yaml names none, so no rollout can be judged; write release.prometheus."
        )
    from ci.adapters import prometheus  # noqa: PLC0415 - as above

    where = prometheus.address(params.release.prometheus)
    try:
        prometheus.Prometheus(where).require_reachable()
    except TrunklineError as fault:
        here = urlsplit(where).hostname in prometheus.LOOPBACK and not os.environ.get(prometheus.VARIABLE)
        return Finding(what, "missing" if here else "broken", fault.message)
    return Finding(what, "ok", f"{where} answers.")


def _kubectl() -> Finding:
    try:
        return Finding("kubectl", "ok", f"kubectl {kustomize.version()} builds the manifests.")
    except TrunklineError as fault:
        return Finding("kubectl", "missing", fault.message)


def _gpu() -> Finding:
    try:
        listed = shell.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], check=False)
    except TrunklineError:
        return Finding("GPU", "missing", "none here; full training runs on the CPU, or on a runner labelled gpu.")
    names = ", ".join(sorted(set(listed.out.strip().splitlines())))
    if listed.code != 0 or not names:
        said = (listed.err or listed.out).strip().splitlines()
        return Finding("GPU", "broken", f"nvidia-smi fails: {quiet(said[0]) if said else 'it said nothing'}.")
    import torch  # noqa: PLC0415 - takes seconds to import

    if not torch.cuda.is_available():
        words = (
            f"{names} is here, and torch {torch.__version__} cannot use it; install torch from PyTorch's CUDA index."
        )
        return Finding("GPU", "broken", words)
    return Finding("GPU", "ok", f"{torch.cuda.device_count()} of {names}, torch {torch.__version__}.")


def _print(found: list[Finding]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where something is printed
    from rich.text import Text  # noqa: PLC0415 - as above

    out = console()
    table = Table()
    for name in ("what", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("found, and what to do", overflow="fold")
    for one in found:
        table.add_row(Text(one.what), Text(one.state, style=STYLES[one.state]), Text(quiet(one.words)))
    out.print(table)
