"""`trunkline image`: the image that serves a model, made of the very bytes that dvc.lock pins, and pushed by digest."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import docker, files, git, locks, registry, sealing
from ci.commands import full, lineage, packing, streaming
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.image import labels, reference
from ci.core.image.sbom import sbom
from ci.core.image.sealed import differences
from ci.core.lineage import Lineage
from ci.core.records import Record

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from ci.commands.packing import Packed

SBOM = "app/sbom.cdx.json"
PUSHES = 3
PAUSE = 2.0  # seconds before the second push, and twice that before the third
SHOWN = 5


class Built(Record):
    """artifacts/<model>/image/image.json: an image on the docker daemon of this machine.

    `size` is in bytes unpacked, `own_size` without the base; `files` holds the sha256 of each file above the base.
    """

    name: str
    image_id: str
    config_digest: str
    size: int
    own_size: int
    lineage: Lineage
    labels: dict[str, str]
    files: dict[str, str]


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", help="the model to package, as dvc.lock pins it at HEAD")
    parser.add_argument(
        "--push", action="store_true", help="push it to the registry of params.yaml and print it by digest"
    )
    parser.add_argument("--verify", action="store_true", help="build it again from nothing, and compare")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build, and with --push print the image by digest. With --verify, 3 where a second build is another image."""
    root = Path.cwd()
    git.require_repository(root)
    git.require_untracked(root)
    packing.require_model(root, args.model)
    made = lineage.of_head(root, args.model)
    if made is None:
        raise ConfigurationError(
            f"dvc.lock does not pin a fully trained {args.model} at HEAD; run `trunkline train {args.model}` and "
            "commit dvc.lock.",
            file="dvc.lock",
        )
    full.pull(root, args.model)
    built = build(root, args.model, made)
    print(f"{built.name}: {built.size / 1e6:.0f} MB, {built.own_size / 1e6:.0f} MB of it above the base")
    if args.verify and not _is_same(built, build(root, args.model, made, fresh=True)):
        return 3
    if args.push:
        print(push(root, built))
    return 0


def build(root: Path, model: str, made: Lineage, *, fresh: bool = False) -> Built:
    """The image of a trained version on the docker daemon: built, scanned and sealed, with its bill of materials.

    The same inputs give the same image, and one that is there is not built again; `fresh` builds it from nothing.
    Raises ConfigurationError where the model's file is not the one that the lineage pins, where the base is not
    pinned, and where the image would hold what may not be in one.
    """
    packed = packing.pack(root, model, made)
    out = root / "artifacts" / model / "image"
    client = docker.connect()
    with _workplace(root, model) as place:
        if not fresh and (there := _there(out, packed)) and docker.has(client, there.image_id):
            return there
        with streaming.shown(f"building {packed.name}") as tell:
            on = docker.require_base(client, packed.base, tell)
            raw = docker.build(client, packed.context, packed.base, tell, fresh=fresh)
        docker.save(client, raw, place / "built.tar")
        bill: dict[str, bytes] = {}

        def add(found: sealing.Found) -> Mapping[str, bytes]:
            bill[SBOM] = _bill(made, packed, found)
            return bill

        plan = sealing.Plan(on, packed.created, packed.labels, add)
        sealed = sealing.seal(place / "built.tar", place / "sealed.tar", plan)
        image_id = docker.load(client, place / "sealed.tar", packed.name)
        built = Built(
            model=model,
            name=packed.name,
            image_id=image_id,
            config_digest=sealed.config_digest,
            size=docker.size(client, image_id),
            own_size=sealed.size,
            lineage=made,
            labels=packed.labels,
            files=dict(sealed.files),
        )
        files.write_bytes(out / "sbom.cdx.json", bill[SBOM])
        files.write_record(out / "image.json", built)
    return built


def push(root: Path, built: Built) -> str:
    """Push an image and return `repository@sha256:...` as read back from the registry; pushed before is pushed.

    Raises ConfigurationError where the server in it is not what is committed, and EnvironmentFault where the registry
    does not take it, or has other bytes afterwards.
    """
    packing.require_committed(root, built.model)
    repository = built.name.rpartition(":")[0]
    with locks.exclusive(_place(root, built.model) / "push.lock", f"another push of {built.model}"):
        home = reference.parse(built.name).host  # of params.yaml, as packing has it
        kept = registry.find_whole(built.name, home=home)
        if kept is None or kept.config_digest != built.config_digest:
            kept = registry.require(f"{repository}@{_pushed(built, home)}", home=home)
    if kept.config_digest != built.config_digest:
        raise EnvironmentFault(
            f"The registry has another image as {repository}@{kept.digest} than the one that was pushed "
            f"({kept.config_digest} instead of {built.config_digest}); it cannot be trusted: see who else writes there."
        )
    return f"{repository}@{kept.digest}"


def _pushed(built: Built, home: str) -> str:
    """Push, again where that may help; the digest as the registry told the daemon."""
    client = docker.connect()
    login = registry.login(home, home=home)
    tries = 0
    while True:
        try:
            with streaming.shown(f"pushing {built.name}") as tell:
                return docker.push(client, built.image_id, built.name, login, tell)
        except docker.PushFailed as failed:
            tries += 1
            if tries == PUSHES or not failed.again:
                raise
            print(f"{failed.message}; pushing again", file=sys.stderr, flush=True)
            time.sleep(PAUSE * tries)


def _there(out: Path, packed: Packed) -> Built | None:
    """The record of an image that was made of the same parts, if there is one."""
    if not ((out / "image.json").is_file() and (out / "sbom.cdx.json").is_file()):
        return None
    try:
        built = files.read_record(out / "image.json", Built)
    except ConfigurationError:  # of an older version of this program
        return None
    return built if (built.name, built.labels) == (packed.name, packed.labels) else None


def _bill(made: Lineage, packed: Packed, found: sealing.Found) -> bytes:
    return sbom(
        made,
        created=packed.created,
        base=packed.base,
        serving_hash=packed.labels[labels.SERVING],
        model_sha256=hashlib.sha256(packed.onnx).hexdigest(),
        python=found.python,
        debian=found.base.get("debian", ""),
        os_release=found.base.get("os_release", ""),
    )


def _is_same(one: Built, two: Built) -> bool:
    """Print whether two builds of the same parts are the same image, else in which files they differ."""
    if one.config_digest == two.config_digest:
        print(f"{one.name}: built again from nothing, and the same: {two.config_digest}")
        return True
    paths = differences(one.files, two.files)
    shown = ", ".join(f"/{path}" for path in paths[:SHOWN])
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    print(f"{one.name}: built again from nothing, and another image: {shown or 'its configuration'}{more} differs")
    return False


def _place(root: Path, model: str) -> Path:
    return root / ".trunkline" / "image" / model


@contextmanager
def _workplace(root: Path, model: str) -> Iterator[Path]:
    """A folder for archives that this build has alone; what a killed one left in it goes."""
    place = _place(root, model)
    with locks.exclusive(place / "build.lock", f"another build of {model}"):
        scratch = place / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
