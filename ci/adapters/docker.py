"""The door to the docker daemon: bases, builds, archives and pushes, each told as it goes."""

from __future__ import annotations

import io
import os
import re
import tarfile
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.image import events, reference, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient

    Tell = Callable[[events.Event], None]

TIMEOUT = 600  # seconds between two bytes of the daemon: an install step can be silent for minutes
CHUNK = 1 << 20
LAST = 3  # lines of a failed build that are told
DENIED = re.compile(r"denied|unauthorized|authentication required|no basic auth", re.IGNORECASE)


class PushFailed(EnvironmentFault):
    """A registry did not take an image; `again` tells whether another try may go better."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


def connect() -> DockerClient:
    """The daemon that DOCKER_HOST names, or this machine's. Raises EnvironmentFault where none answers."""
    if find_spec("docker") is None:
        raise EnvironmentFault(
            "docker's SDK for Python is not installed; `make setup` or `pip install 'trunkline[release]'` gets it."
        )
    import docker  # noqa: PLC0415 - half a second that only commands on images need
    from docker.errors import DockerException  # noqa: PLC0415 - as above

    try:
        client = docker.from_env(timeout=TIMEOUT)
        client.ping()
    except (DockerException, OSError) as fault:
        raise EnvironmentFault(
            f"No docker daemon answers at {_where()} ({_last(fault)}); start it, or name another with DOCKER_HOST."
        ) from fault
    return client


def require_base(client: DockerClient, base: str, tell: Tell) -> sealed.Base:
    """Have the base image at hand, pulled where it is missing, and say how much of an image on it is its.

    Raises ConfigurationError for a base that is a tag, with the digest to write instead, and EnvironmentFault for one
    that cannot be had.
    """
    if not reference.is_pinned(base):
        raise ConfigurationError(
            f"params.yaml: release.base is '{base}', a tag that may mean other bytes tomorrow; "
            f"{_pin_for(client, base)}.",
            file="params.yaml",
        )
    with told(f"look for the base image {base}"):
        made = _inspect(client, base)
        if made is None:
            if "@" not in base:
                raise EnvironmentFault(
                    f"The base image {base} is not on the docker daemon at {_where()}, and an image id cannot be "
                    "pulled; make it there, or name one as NAME@sha256:DIGEST."
                )
            name, _, digest = base.partition("@")
            _follow(
                client.api.pull(reference.name_of(name), tag=digest, stream=True, decode=True), tell, f"pull {base}"
            )
            made = _inspect(client, base)
        if made is None:
            raise EnvironmentFault(f"The base image {base} was pulled, but the daemon does not have it; run again.")
        return sealed.Base(len(made["RootFS"]["Layers"]), len(client.api.history(made["Id"])))


def build(client: DockerClient, context: Mapping[str, bytes], base: str, tell: Tell, *, fresh: bool) -> str:
    """Build an image from the files of `context`, Dockerfile among them; returns its id. `fresh` uses no cached layer.

    Raises EnvironmentFault with the last words of the step that failed.
    """
    with told("build the image"):
        stream = client.api.build(
            fileobj=_tar(context),
            custom_context=True,
            buildargs={"BASE": base},
            nocache=fresh,
            rm=True,
            forcerm=True,
            decode=True,
        )
        return _follow(stream, tell, "build the image")


def pull(client: DockerClient, image: str, auth: Mapping[str, str] | None, tell: Tell) -> None:
    """Have an image that is named by digest at hand, pulled where it is missing."""
    with told(f"pull {image}"):
        if _inspect(client, image) is None:
            name, _, digest = image.partition("@")
            login = dict(auth) if auth else None
            _follow(
                client.api.pull(name, tag=digest, auth_config=login, stream=True, decode=True), tell, f"pull {image}"
            )


def save(client: DockerClient, image: str, path: Path) -> None:
    """Write an image to a file, as `docker save`."""
    with told("save the image"), path.open("wb") as out:
        out.writelines(client.api.get_image(image, chunk_size=CHUNK))


def load(client: DockerClient, path: Path, name: str) -> str:
    """Give an archive to the daemon and tag it `name`; returns the image's id."""
    with told("load the image"), path.open("rb") as content:
        image = client.images.load(content)[0]
        image.tag(*name.rsplit(":", 1))
        return str(image.id)


def has(client: DockerClient, image: str) -> bool:
    """Whether the daemon has an image."""
    with told("look for the image"):
        return _inspect(client, image) is not None


def size(client: DockerClient, image: str) -> int:
    """Bytes of all layers of an image, unpacked, the base's included."""
    with told("look at the image"):
        return int(client.api.inspect_image(image)["Size"])


def push(client: DockerClient, image: str, name: str, auth: Mapping[str, str] | None, tell: Tell) -> str:
    """Push a local image as `name`; returns the digest that the registry gave it. Raises PushFailed."""
    with told(f"push {name}"):
        repository, tag = name.rsplit(":", 1)
        client.api.tag(image, repository, tag)
        stream = client.api.push(
            repository, tag=tag, auth_config=dict(auth) if auth else None, stream=True, decode=True
        )
        try:
            return _follow(stream, tell, f"push {name}")
        except EnvironmentFault as fault:
            if DENIED.search(fault.message):
                raise PushFailed(
                    f"{fault.message}; set REGISTRY_USER and REGISTRY_PASSWORD to an account that may push there, or "
                    "`docker login`.",
                    again=False,
                ) from fault
            raise PushFailed(fault.message, again=True) from fault


def stored_login(host: str) -> Mapping[str, str] | None:
    """What `docker login` keeps for a registry, credential helpers included; None where it keeps nothing."""
    if find_spec("docker") is None:
        return None
    from docker import auth  # noqa: PLC0415 - as in connect
    from docker.errors import DockerException  # noqa: PLC0415 - as in connect

    try:
        found = auth.resolve_authconfig(auth.load_config(), host)
    except (DockerException, auth.InvalidConfigError) as fault:
        raise EnvironmentFault(f"docker's stored login for {host} cannot be read: {_last(fault)}.") from fault
    if not found:
        return None
    # What load_config gives names the keys as config.json does, a credential helper's as the API does.
    return {
        "username": str(found.get("username") or found.get("Username") or ""),
        "password": str(found.get("password") or found.get("Password") or ""),
    }


def _pin_for(client: DockerClient, base: str) -> str:
    """What to write instead of a tag."""
    made = _inspect(client, base)
    if made is None:
        return f"`docker pull {base}` and run again to be told the digest to write"
    name = reference.name_of(base)
    digests = [digest for digest in made["RepoDigests"] or () if reference.name_of(digest) == name]
    if digests:
        return f"write `base: {base}@{digests[0].partition('@')[2]}`"
    return f"this daemon knows it as {made['Id']}, which no other does: set TRUNKLINE_BASE_IMAGE={made['Id']} here"


def _inspect(client: DockerClient, image: str) -> Mapping[str, Any] | None:
    from docker.errors import ImageNotFound  # noqa: PLC0415 - as in connect

    try:
        return cast("Mapping[str, Any]", client.api.inspect_image(image))
    except ImageNotFound:
        return None


def _follow(stream: Iterable[Mapping[str, Any]], tell: Tell, doing: str) -> str:
    """Tell each event and return what came out, or "". Raises EnvironmentFault where the daemon gave up."""
    made, said = "", [""]
    for message in stream:
        for event in events.events(message):
            match event:
                case events.Failed(words):
                    last = " / ".join(line for line in said[-LAST:] if line)
                    raise EnvironmentFault(f"docker could not {doing}: {words}" + (f" (after: {last})" if last else ""))
                case events.Made(name):
                    made = name
                case events.Said(words):
                    said.append(words)
            tell(event)
    return made


def _tar(context: Mapping[str, bytes]) -> io.BytesIO:
    """A build context whose bytes depend on the files alone."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in sorted(context.items()):
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    out.seek(0)
    return out


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn whatever the daemon or the way to it does into one sentence."""
    import requests  # noqa: PLC0415 - docker's own transport
    import urllib3  # noqa: PLC0415 - as above
    from docker.errors import DockerException  # noqa: PLC0415 - as in connect

    try:
        yield
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as fault:
        raise EnvironmentFault(
            f"The docker daemon at {_where()} could not {doing}: {_last(fault)}; see that it runs, and run again."
        ) from fault
    except OSError as fault:
        raise EnvironmentFault(f"It was not possible to {doing}: {_last(fault)}; mend that and run again.") from fault


def _where() -> str:
    return os.environ.get("DOCKER_HOST") or "this machine's socket"


def _last(fault: BaseException) -> str:
    lines = str(getattr(fault, "explanation", None) or fault).strip().splitlines()
    return lines[-1][:300] if lines else type(fault).__name__
