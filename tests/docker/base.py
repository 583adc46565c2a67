"""A slim Python on Debian as a base image, made on this machine once and kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.docker.programs import find, missing

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
NEEDLESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")
CHANGES = ['CMD ["python3"]', "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
RECIPE = hashlib.sha256(repr((SUITE, PACKAGES, NEEDLESS, CHANGES)).encode()).hexdigest()[:12]
NAME = f"trunkline-test/base:{RECIPE}"


def base_image(host: str) -> str:
    """The id of the base image on a daemon, imported where it is not there yet."""
    import docker
    from docker.errors import ImageNotFound

    client = docker.DockerClient(base_url=host, timeout=600)
    try:
        try:
            return str(client.images.get(NAME).id)
        except ImageNotFound:
            repository, tag = NAME.split(":")
            with _archive().open("rb") as content:
                client.api.import_image_from_data(content.read(), repository=repository, tag=tag, changes=CHANGES)
            return str(client.images.get(NAME).id)
    finally:
        client.close()


def _archive() -> Path:
    """The root file system as a tar archive, made where the cache has none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trunkline"
    cache.mkdir(parents=True, exist_ok=True)
    made = cache / f"base-{RECIPE}.tar"
    with (cache / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_file():
            _make(cache / "base.rootfs", made)
    return made


def _make(rootfs: Path, archive: Path) -> None:
    program = find("debootstrap", package="debootstrap")
    if os.geteuid() != 0:
        missing("debootstrap needs root to make a base image; run the tests as root once")
    shutil.rmtree(rootfs, ignore_errors=True)
    wanted = f"--include={','.join(PACKAGES)}"
    done = subprocess.run(
        [program, "--variant=minbase", wanted, SUITE, str(rootfs)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        missing(f"debootstrap could not make a base image: {done.stdout.strip()[-500:]}")
    (rootfs / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink()
    (rootfs / "usr/bin/python").symlink_to("python3")
    if CERTIFICATES.is_file():  # what this machine trusts, so that pip works behind its proxies too
        shutil.copyfile(CERTIFICATES, rootfs / CERTIFICATES.relative_to("/"))
    for folder in NEEDLESS:
        shutil.rmtree(rootfs / folder, ignore_errors=True)
    part = archive.with_suffix(".part")
    with tarfile.open(part, "w") as out:
        out.add(rootfs, arcname=".", filter=_portable)
    part.replace(archive)
    shutil.rmtree(rootfs, ignore_errors=True)


def _portable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Devices stay behind: docker makes its own."""
    return None if member.isdev() else member
