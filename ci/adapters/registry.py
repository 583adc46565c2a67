"""The door to image registries: what one holds under a name, read from it and held to its digest.

Protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md; tokens:
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ci.adapters import docker
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.image import reference

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from ci.core.image.reference import Reference

TIMEOUT = (5.0, 30.0)  # seconds to connect, and between two bytes of an answer
TRIES = Retry(
    total=3,
    backoff_factor=0.5,
    backoff_max=8,
    retry_after_max=10,  # else a registry that asks for hours is waited for, in silence
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=("GET", "HEAD"),
    raise_on_status=False,
)
MANIFESTS = ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json")
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
LIMIT = 4 << 20  # bytes of an answer that are read: the most that the specification asks of a manifest
CHUNK = 1 << 16
DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}


@dataclass(frozen=True)
class Kept:
    """An image as a registry keeps it: its digest, its configuration's, and the bytes that a pull of all moves."""

    digest: str
    config_digest: str
    size: int


@dataclass(frozen=True)
class _Answer:
    """What a registry said, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def login(host: str, *, home: str) -> dict[str, str] | None:
    """REGISTRY_USER and REGISTRY_PASSWORD, else what `docker login` keeps for the registry; None without either.

    The two are for `home` alone, the host that params.yaml names: of others anyone may have written the name.
    """
    if host != home:
        return _stored(host)
    user, password = os.environ.get("REGISTRY_USER"), os.environ.get("REGISTRY_PASSWORD")
    if bool(user) != bool(password):
        missing = "REGISTRY_PASSWORD" if user else "REGISTRY_USER"
        raise ConfigurationError(
            f"{missing} is not set, but the other of REGISTRY_USER and REGISTRY_PASSWORD is; set it."
        )
    if user and password:
        return {"username": user, "password": password}
    return _stored(host)


def require_reachable(registry: str) -> None:
    """Raise EnvironmentFault unless params.yaml's registry, HOST[:PORT][/PATH], answers and takes the login."""
    where = reference.parse(f"{registry}/probe:probe")
    with _Session(where, where.host) as session:
        session.get("", expected=(200, 404))


def digest_of(image: str, *, home: str = "") -> str | None:
    """The digest that a tag or digest has in its registry; None where there is no such image. `home` as for `login`."""
    found = find(image, home=home)
    return found.digest if found else None


def require(image: str, *, home: str = "") -> Kept:
    """What the registry keeps under a name. Raises EnvironmentFault where it has none. `home` as for `login`."""
    found = find(image, home=home)
    if found is None:
        raise EnvironmentFault(f"The registry has no image {image}; `trunkline image MODEL --push` brings it there.")
    return found


def find(image: str, *, home: str = "") -> Kept | None:
    """What the registry keeps under a name, held to its digest; None where there is no such image. `home` as above."""
    where = reference.parse(image)
    with _Session(where, home) as session:
        manifest = _manifest(session, where)
    return None if manifest is None else _kept(*manifest)


def find_whole(image: str, *, home: str) -> Kept | None:
    """As `find`, but None also where the registry lacks a layer of it, or lists others than the configuration says."""
    where = reference.parse(image)
    with _Session(where, home) as session:
        manifest = _manifest(session, where)
        if manifest is None:
            return None
        kept = _kept(*manifest)
        layers = [(str(layer["digest"]), int(layer["size"])) for layer in manifest[1]["layers"]]
        if not all(session.has(digest, size) for digest, size in layers) or not session.has(kept.config_digest):
            return None
        config = _config(session, where, kept.config_digest)
    return kept if len((config.get("rootfs") or {}).get("diff_ids") or ()) == len(layers) else None


def labels_of(image: str, *, home: str = "") -> Mapping[str, str]:
    """The labels of an image. Raises EnvironmentFault where the registry has no such image. `home` as above."""
    where = reference.parse(image)
    with _Session(where, home) as session:
        manifest = _manifest(session, where)
        if manifest is None:
            raise EnvironmentFault(
                f"The registry has no image {image}; `trunkline image MODEL --push` brings it there."
            )
        config = _config(session, where, str(manifest[1]["config"]["digest"]))
    labels = (config.get("config") or {}).get("Labels") or {}
    return {str(name): str(value) for name, value in labels.items()}


def download(
    image: str, folder: Path, *, home: str = "", without: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """An image's configuration and the digests of its layers, in order; each layer is a file of that name in `folder`.

    Layers that are there already, or are named in `without`, are not fetched. Raises EnvironmentFault where the
    registry has no such image, or gives other bytes. `home` as above.
    """
    where = reference.parse(image)
    with _Session(where, home) as session:
        manifest = _manifest(session, where)
        if manifest is None:
            raise EnvironmentFault(f"The registry has no image {image}; see what names it, and push it there.")
        config = _config(session, where, str(manifest[1]["config"]["digest"]))
        layers = [str(layer["digest"]) for layer in manifest[1]["layers"]]
        for digest in layers:
            if digest not in without and not (folder / digest).exists():
                session.save(digest, folder / digest)
    return config, layers


def _stored(host: str) -> dict[str, str] | None:
    found = docker.stored_login(host)
    return dict(found) if found else None


def _kept(digest: str, manifest: Mapping[str, Any]) -> Kept:
    return Kept(digest, str(manifest["config"]["digest"]), sum(int(layer["size"]) for layer in manifest["layers"]))


def _config(session: _Session, where: Reference, digest: str) -> dict[str, Any]:
    """An image's configuration. Raises EnvironmentFault where the registry gives another."""
    content = session.get(f"{where.path}/blobs/{digest}").content
    if _sha256(content) != digest:
        raise EnvironmentFault(
            f"{where.repository}: the registry gave a configuration with another digest than {digest}; it cannot be "
            "trusted."
        )
    return _json(where, content)


def _json(where: Reference, content: bytes) -> dict[str, Any]:
    """An object. Raises EnvironmentFault for anything else."""
    try:
        data = json.loads(content)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise EnvironmentFault(
            f"The registry {where.host} gave something else than the JSON object that belongs to {where.repository}; "
            "it cannot be trusted."
        )
    return data


def _manifest(session: _Session, where: Reference) -> tuple[str, dict[str, Any]] | None:
    """Digest and content of a manifest. Raises EnvironmentFault where they do not belong together."""
    answer = session.get(f"{where.path}/manifests/{where.at}", expected=(200, 404), accept=", ".join(MANIFESTS))
    if answer.status == 404:
        return None
    digest = _sha256(answer.content)
    asked = where.at if reference.DIGEST.fullmatch(where.at) else answer.headers.get("Docker-Content-Digest", digest)
    if digest != asked:
        raise EnvironmentFault(
            f"{where.repository}: the registry answered {asked} with bytes of digest {digest}; it cannot be trusted."
        )
    try:
        data = json.loads(answer.content)
        sizes = [int(layer["size"]) for layer in data["layers"]]
        digests = [data["config"]["digest"], *(layer["digest"] for layer in data["layers"])]
        complete = all(reference.DIGEST.fullmatch(each) for each in digests) and bool(sizes)
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise EnvironmentFault(
            f"{where.repository}: what the registry has under {where.at} is not one image's manifest."
        )
    return digest, data


class _Session:
    """Reading from one repository of one registry, with the login there is for it, if it asks for one."""

    def __init__(self, where: Reference, home: str) -> None:
        self._where = where
        self._home = home
        self._base = f"{'http' if where.is_loopback else 'https'}://{DOCKER_HUB.get(where.host, where.host)}/v2/"
        self._session = requests.Session()
        self._session.auth = _no_auth  # else a ~/.netrc would be sent
        self._session.trust_env = not where.is_loopback
        # Where nothing listens on this machine, nothing will a moment later.
        tries = TRIES.new(connect=0) if where.is_loopback else TRIES
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=tries))
        self._header: dict[str, str] = {}

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def has(self, digest: str, size: int | None = None) -> bool:
        """Whether the repository has a blob, of this size where the registry tells its size."""
        answer = self.get(f"{self._where.path}/blobs/{digest}", expected=(200, 302, 303, 307, 404), method="HEAD")
        told = answer.headers.get("Content-Length") if answer.status == 200 else None
        return answer.status != 404 and (size is None or told is None or told == str(size))

    def get(
        self, path: str, *, expected: tuple[int, ...] = (200,), accept: str = "*/*", method: str = "GET"
    ) -> _Answer:
        """One answer. Raises EnvironmentFault for none, for a login that is not taken, and for what is not expected."""
        answer = self._send(self._base + path, {"Accept": accept, **self._header}, method=method)
        if answer.status == 401 and not self._header:
            self._header = {"Authorization": self._authorization(answer.headers.get("WWW-Authenticate", ""))}
            answer = self._send(self._base + path, {"Accept": accept, **self._header}, method=method)
        if answer.status in {401, 403}:
            raise EnvironmentFault(
                f"The registry {self._where.host} does not let this account read {self._where.path}; set REGISTRY_USER "
                "and REGISTRY_PASSWORD to one that may, or `docker login`."
            )
        if answer.status not in expected:
            raise EnvironmentFault(
                f"The registry {self._where.host} answered {answer.status} for {path or '/v2/'}; see its log, and "
                "run again."
            )
        return answer

    def save(self, digest: str, target: Path) -> None:
        """Write a blob to a file, whole or not at all. The login is as the last answer asked for it."""
        url = f"{self._base}{self._where.path}/blobs/{digest}"
        part, seen = target.with_suffix(".part"), hashlib.sha256()
        try:
            with (
                self._session.get(url, headers=self._header, timeout=TIMEOUT, stream=True) as answer,
                part.open("wb") as out,
            ):
                answer.raise_for_status()
                for content in answer.iter_content(CHUNK):
                    seen.update(content)
                    out.write(content)
        except requests.RequestException as fault:
            raise EnvironmentFault(
                f"The registry {self._where.host} did not give the layer {digest} of {self._where.path} "
                f"({type(fault).__name__}); see its log, and run again."
            ) from fault
        if f"sha256:{seen.hexdigest()}" != digest:
            part.unlink()
            raise EnvironmentFault(
                f"{self._where.repository}: the registry gave a layer with another digest than {digest}; it cannot be "
                "trusted."
            )
        part.replace(target)

    def _authorization(self, challenge: str) -> str:
        """What to tell a registry that wants a login: the login, or a token that its own service gives for it."""
        account = login(self._where.host, home=self._home)
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "bearer":
            asked = dict(CHALLENGE.findall(rest))
            realm = asked.get("realm", "")
            if not _is_safe(realm):
                raise EnvironmentFault(
                    f"The registry {self._where.host} asks for a login at {realm!r}, not over TLS; refused."
                )
            basic = {"Authorization": _basic(account)} if account else {}
            scope = f"repository:{self._where.path}:pull"
            answer = self._send(realm, basic, {"service": asked.get("service", ""), "scope": scope})
            if answer.status < 400:
                data = _json(self._where, answer.content)
                return f"Bearer {data.get('token') or data.get('access_token')}"
        if account is None:
            raise EnvironmentFault(
                f"The registry {self._where.host} asks for a login; set REGISTRY_USER and REGISTRY_PASSWORD, or "
                "`docker login`."
            )
        return _basic(account)

    def _send(
        self, url: str, headers: Mapping[str, str], params: Mapping[str, str] | None = None, *, method: str = "GET"
    ) -> _Answer:
        try:
            with self._session.request(
                method,
                url,
                headers=headers,
                params=params,
                timeout=TIMEOUT,
                stream=True,
                allow_redirects=method == "GET",
            ) as answer:
                content = bytearray()
                for part in answer.iter_content(CHUNK):
                    content += part
                    if len(content) > LIMIT:
                        raise EnvironmentFault(
                            f"The registry {self._where.host} answers with more than {LIMIT >> 20} MiB where a "
                            "manifest or a configuration was asked for; it cannot be trusted."
                        )
                return _Answer(answer.status_code, answer.headers, bytes(content))
        except requests.RequestException as fault:
            raise EnvironmentFault(
                f"The registry {self._where.host} cannot be reached ({type(fault).__name__}); see that it runs and "
                "that release.registry in params.yaml is right, and run again."
            ) from fault


def _is_safe(realm: str) -> bool:
    """Whether a login may be sent there: over TLS, or to this machine itself."""
    parts = urlsplit(realm)
    return parts.scheme == "https" or (
        parts.scheme == "http" and reference.LOOPBACK.fullmatch(parts.netloc) is not None
    )


def _basic(account: Mapping[str, str]) -> str:
    pair = f"{account['username']}:{account['password']}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _no_auth(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
