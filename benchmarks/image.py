"""Size and cold start of a model's image beside what `mlflow models build-docker` makes of the same ONNX file.

`python benchmarks/image.py churn` where dvc.lock pins a full training of churn, with a docker daemon and
TRUNKLINE_BASE_IMAGE or release.base at hand: both images are built on that base. A cold start is the time from `docker
run` to the first answer that says ready. Limits: ours above the base is at most a third of MLflow's, and starts in at
most half the time.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import onnx
import requests
from rich.console import Console
from rich.table import Table

from ci.adapters import files
from ci.commands import full, image, lineage
from ci.core.params import parse_root

if TYPE_CHECKING:
    from docker import DockerClient

ROUNDS = 5
SMALLER, FASTER = 1 / 3, 1 / 2
NEEDED = ("onnx", "onnxruntime")
OURS, THEIRS = "trunkline image", "mlflow models build-docker"


@dataclass(frozen=True)
class Side:
    """An image, where its server says that it is ready, and the options that it needs to run."""

    name: str
    image: str
    ready: str
    locked: bool


def main() -> int:
    """Build both, print sizes, seconds and ratios; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    model, root = parser.parse_args().model, Path.cwd()
    made = lineage.of_head(root, model)
    if made is None:
        print(f"dvc.lock pins no full training of {model}: run `trunkline train {model}` and commit dvc.lock")
        return 1
    release = parse_root(*files.read_yaml(root / "params.yaml")).release
    base = os.environ.get("TRUNKLINE_BASE_IMAGE") or (release.base if release else "")
    full.pull(root, model)
    built = image.build(root, model, made)
    client = docker.from_env(timeout=1200)
    theirs = _mlflow(client, root / "artifacts" / model / "full" / "model.onnx", base)
    sides = (Side(OURS, built.image_id, "/v2/health/ready", True), Side(THEIRS, theirs, "/ping", False))
    below = client.api.inspect_image(base)["Size"]
    sizes = {side.name: client.api.inspect_image(side.image)["Size"] - below for side in sides}
    rounds = [{side.name: _start(client, side) for side in sides} for _ in range(ROUNDS)]
    seconds = {side.name: statistics.median(each[side.name] for each in rounds) for side in sides}
    table = Table(title=f"{model}, on a base of {below / 1e6:.0f} MB; starts: the median of {ROUNDS}")
    for column in ("image", "MB above the base", "x", "cold start, s", "x"):
        table.add_column(column, justify="left" if column == "image" else "right")
    for side in sides:
        size, start = sizes[side.name], seconds[side.name]
        ratios = f"{size / sizes[OURS]:.1f}", f"{start / seconds[OURS]:.1f}"
        table.add_row(side.name, f"{size / 1e6:.0f}", ratios[0], f"{start:.2f}", ratios[1])
    Console().print(table)
    good = sizes[OURS] <= SMALLER * sizes[THEIRS] and seconds[OURS] <= FASTER * seconds[THEIRS]
    print("within the limits" if good else f"beyond a limit: {SMALLER:.2f} of the size, {FASTER:.2f} of the start")
    return 0 if good else 1


def _mlflow(client: DockerClient, file: Path, base: str) -> str:
    """The image of MLflow's own Dockerfile, with the requirements that its ONNX flavour needs, on the same base."""
    import mlflow.onnx  # noqa: PLC0415 - slow, and not needed to say what is missing

    pins = [f"{name}=={importlib.metadata.version(name)}" for name in NEEDED]
    with tempfile.TemporaryDirectory() as folder:
        saved, context = Path(folder) / "model", Path(folder) / "context"
        mlflow.onnx.save_model(onnx.load(file), str(saved), pip_requirements=pins)
        asked = ["--model-uri", str(saved), "--output-directory", str(context), "--env-manager", "local"]
        command = [sys.executable, "-m", "mlflow", "models", "generate-dockerfile", *asked]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        recipe = context / "Dockerfile"
        # MLflow replaces pip by one that trusts what it brings, where Debian's trusts what the system does.
        start = f"FROM {base}\nENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt"
        recipe.write_text(re.sub(r"^FROM python:\S+", start, recipe.read_text(), flags=re.MULTILINE))
        told = list(client.api.build(path=str(context), decode=True, rm=True))
        log = "".join(message.get("stream", "") for message in told[-40:])
        assert not any("error" in message for message in told), log
        return next(str(message["aux"]["ID"]) for message in told if "ID" in message.get("aux", {}))


def _start(client: DockerClient, side: Side) -> float:
    """Seconds from asking for a container until its server is ready."""
    begin = time.perf_counter()
    options = {"read_only": True, "cap_drop": ["ALL"], "tmpfs": {"/tmp": "rw"}} if side.locked else {}  # noqa: S108
    made = client.containers.run(side.image, detach=True, ports={"8080/tcp": ("127.0.0.1", None)}, **options)
    try:
        made.reload()
        port = made.attrs["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
        while True:
            try:
                if requests.get(f"http://127.0.0.1:{port}{side.ready}", timeout=5).status_code == 200:
                    return time.perf_counter() - begin
            except requests.RequestException:
                pass
            time.sleep(0.01)
            made.reload()
            assert made.status == "running", made.logs(tail=5).decode()
    finally:
        made.remove(force=True)


if __name__ == "__main__":
    sys.exit(main())
