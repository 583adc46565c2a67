"""A registry that gives its tokens out elsewhere, as hosted ones do: real, with a token service that signs for it.

Protocol: https://distribution.github.io/distribution/spec/auth/jwt/
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ci.adapters import registry as door
from ci.core.errors import ConfigurationError, EnvironmentFault
from tests.docker.registry import Registry, registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVICE, ISSUER = "line-registry", "line-tokens"
USER, PASSWORD = "line", "correct-horse-battery"


@dataclass
class Tokens:
    """Signs tokens for whoever has the password; remembers what it was asked for."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    @classmethod
    def make(cls) -> Tokens:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def sign(self, scope: str) -> str:
        """A token for what `scope` asks, as `repository:NAME:ACTIONS`."""
        kind, name, actions = scope.split(":")
        now = int(time.time())
        header = {
            "typ": "JWT",
            "alg": "RS256",
            "x5c": [base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()],
        }
        claims = {
            "iss": ISSUER,
            "sub": USER,
            "aud": SERVICE,
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": str(now),
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        signed = b".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        return (signed + b"." + _encoded(self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


def _encoded(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


@contextmanager
def service(tokens: Tokens) -> Iterator[str]:
    """The address of a token service that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            tokens.asked.append(query)
            wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            good = self.headers.get("Authorization") == f"Basic {wanted}"
            self.send_response(200 if good else 401)
            self.end_headers()
            if good:
                self.wfile.write(json.dumps({"token": tokens.sign(query["scope"][0])}).encode())

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens.make()


@pytest.fixture(scope="module")
def guarded(tokens: Tokens, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that believes this token service alone."""
    place = tmp_path_factory.mktemp("guarded")
    bundle = place / "bundle.pem"
    bundle.write_bytes(tokens.certificate.public_bytes(Encoding.PEM))
    with service(tokens) as realm:
        auth = {"token": {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)}}
        with registry(place / "registry", auth) as made:
            yield made


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody is logged in."""
    monkeypatch.delenv("REGISTRY_USER", raising=False)
    monkeypatch.delenv("REGISTRY_PASSWORD", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def test_a_token_is_asked_for_and_taken(guarded: Registry, tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_USER", USER)
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    assert door.digest_of(f"{guarded.host}/trunkline/churn:none", home=guarded.host) is None
    assert tokens.asked[-1] == {"service": [SERVICE], "scope": ["repository:trunkline/churn:pull"]}


def test_what_docker_login_keeps_is_used(guarded: Registry, tmp_path: Path) -> None:
    kept = {"auths": {guarded.host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    assert door.digest_of(f"{guarded.host}/trunkline/churn:none", home=guarded.host) is None
    door.require_reachable(f"{guarded.host}/trunkline")


def test_without_a_login_it_is_asked_for(guarded: Registry) -> None:
    with pytest.raises(EnvironmentFault, match="asks for a login; set REGISTRY_USER and REGISTRY_PASSWORD"):
        door.digest_of(f"{guarded.host}/trunkline/churn:none", home=guarded.host)


def test_a_wrong_login_is_told_and_not_shown(guarded: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_USER", USER)
    monkeypatch.setenv("REGISTRY_PASSWORD", "wrong-horse")
    with pytest.raises(EnvironmentFault, match="does not let this account read") as refused:
        door.digest_of(f"{guarded.host}/trunkline/churn:none", home=guarded.host)
    assert "wrong-horse" not in refused.value.message


def test_half_a_login_is_a_mistake(guarded: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_USER", USER)
    with pytest.raises(ConfigurationError, match="REGISTRY_PASSWORD is not set"):
        door.digest_of(f"{guarded.host}/trunkline/churn:none", home=guarded.host)


def test_a_registry_that_is_not_there() -> None:
    with pytest.raises(EnvironmentFault, match=r"The registry 127\.0\.0\.1:1 cannot be reached"):
        door.require_reachable("127.0.0.1:1/trunkline")


@contextmanager
def answering(status: int, headers: dict[str, str], content: bytes = b"") -> Iterator[tuple[str, list[str | None]]]:
    """A host that gives one answer to everything, and the logins that it was told."""
    told: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(self.headers.get("Authorization"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # who reads no further hangs up
                self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", told
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("home", ["", "registry.example.com"])
def test_the_login_of_the_environment_goes_to_no_other_host(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_USER", USER)
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    with answering(401, {"WWW-Authenticate": 'Basic realm="all"'}) as (host, told):
        for ask in (door.digest_of, door.require, door.labels_of):
            with pytest.raises(EnvironmentFault, match="asks for a login"):
                ask(f"{host}/line/churn:any", home=home)
        assert told == [None] * 3
        with pytest.raises(EnvironmentFault, match="does not let this account read"):
            door.digest_of(f"{host}/line/churn:any", home=host)
        assert told[-1] is not None


@pytest.mark.parametrize(
    "realm", ["http://tokens.invalid/token", "http://127.0.0.1@tokens.invalid/token", "ftp://127.0.0.1/token", ""]
)
def test_no_login_is_sent_in_the_clear(realm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_USER", USER)
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    with (
        answering(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="any"'}) as (host, told),
        pytest.raises(EnvironmentFault, match="not over TLS; refused"),
    ):
        door.digest_of(f"{host}/line/churn:any", home=host)
    assert told == [None]


def test_an_answer_without_end_is_not_read() -> None:
    with (
        answering(200, {}, b" " * (door.LIMIT + 1)) as (host, _),
        pytest.raises(EnvironmentFault, match="answers with more than 4 MiB"),
    ):
        door.digest_of(f"{host}/line/churn:any")


def uploaded(repository: str, content: bytes) -> dict[str, Any]:
    """A blob brought into a registry, as a manifest lists it."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    place = requests.post(f"{repository}/blobs/uploads/", timeout=10).headers["Location"]
    assert requests.put(place, params={"digest": digest}, data=content, timeout=10).status_code == 201
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}


def test_an_image_without_one_of_its_layers_is_not_whole(tmp_path: Path) -> None:
    kind = door.MANIFESTS[1]
    with registry(tmp_path / "registry") as made:
        repository = f"http://{made.host}/v2/line/churn"
        layers = [uploaded(repository, content) for content in (b"base", b"ours")]
        config = uploaded(repository, json.dumps({"rootfs": {"diff_ids": ["one", "two"]}}).encode())
        for tag, listed in (("whole", layers), ("fewer", layers[:1])):
            manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": listed}
            sent = requests.put(
                f"{repository}/manifests/{tag}", json.dumps(manifest), headers={"Content-Type": kind}, timeout=10
            )
            assert sent.status_code == 201, sent.text
        image = f"{made.host}/line/churn"
        assert door.find_whole(f"{image}:none", home=made.host) is None
        assert door.find_whole(f"{image}:fewer", home=made.host) is None
        assert door.find_whole(f"{image}:whole", home=made.host) == door.find(f"{image}:whole")
        made.blob(layers[1]["digest"]).unlink()
        assert door.find(f"{image}:whole") is not None
        assert door.find_whole(f"{image}:whole", home=made.host) is None
