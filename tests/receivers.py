"""Real servers that take alerts: one for HTTP, one for mail, both on free ports of 127.0.0.1."""

from __future__ import annotations

import base64
import socket
import socketserver
import ssl
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path


@dataclass
class Post:
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """A webhook: it answers with `answers` first (0: not at all, after taking it), and then with 200."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)


@contextmanager
def hook() -> Iterator[Hook]:
    """A running one."""
    made = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.posts.append(Post(self.path, headers, body))
            status, extra = made.answers.pop(0) if made.answers else (200, {})
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Tests read `posts` instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hook/secret-path"
    with _running(server):
        yield made


@dataclass
class Mail:
    """A mail server. `tls`: certificate and key for STARTTLS, which then comes before a login; None offers none.

    `busy` connections are turned away with 421 first; `unknown` recipients are refused; `breaks` drops the connection
    after a letter.
    """

    tls: tuple[Path, Path] | None = None
    login: tuple[str, str] | None = None
    busy: int = 0
    unknown: tuple[str, ...] = ()
    breaks: bool = False
    port: int = 0
    letters: list[tuple[bool, list[str], EmailMessage]] = field(default_factory=list)
    """Each with whether it came encrypted, and for whom."""


@contextmanager
def mail(made: Mail) -> Iterator[Mail]:
    """Run it."""
    handler = type("Handler", (_Talk,), {"mail": made})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    with _running(server):
        yield made


class _Talk(socketserver.StreamRequestHandler):
    """One connection to a mail server."""

    mail: Mail

    def handle(self) -> None:
        self.encrypted, self.known, self.goes_on = False, self.mail.login is None, True
        self.to: list[str] = []
        if self.mail.busy:
            self.mail.busy -= 1
            return self.say("421 too many at once")
        self.say("220 mail.test ESMTP")
        verbs = {"EHLO": self.ehlo, "STARTTLS": self.encrypt, "AUTH": self.auth, "RCPT": self.rcpt, "DATA": self.data}
        # QUIT is answered with 250, which it should not be: what was taken is taken all the same.
        while self.goes_on and (line := self.rfile.readline()):
            verb, _, rest = line.decode().strip().partition(" ")
            verbs.get(verb.upper(), self.ok)(rest)
        return None

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def ok(self, _: str) -> None:
        self.say("250 ok")

    def ehlo(self, _: str) -> None:
        offers = ["STARTTLS"] if self.mail.tls and not self.encrypted else []
        offers += ["AUTH PLAIN"] if self.mail.login else []
        self.say("\r\n".join(["250-mail.test", *(f"250-{one}" for one in offers), "250 8BITMIME"]))

    def encrypt(self, _: str) -> None:
        assert self.mail.tls is not None
        self.say("220 go on")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.mail.tls)
        self.connection = context.wrap_socket(cast("socket.socket", self.connection), server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.encrypted = True

    def auth(self, rest: str) -> None:
        told = base64.b64decode(rest.removeprefix("PLAIN ")).decode().split("\0")[1:]
        self.known = tuple(told) == self.mail.login
        self.say("235 welcome" if self.known else "535 who are you")

    def rcpt(self, rest: str) -> None:
        who = rest.partition("<")[2].partition(">")[0]
        if who in self.mail.unknown or not self.known:
            return self.say("550 nobody here")
        self.to.append(who)
        return self.say("250 ok")

    def data(self, _: str) -> None:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        letter = message_from_bytes(b"".join(lines), policy=policy.default)
        self.mail.letters.append((self.encrypted, list(self.to), letter))
        self.goes_on = not self.mail.breaks
        if self.goes_on:
            self.say("250 taken")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    made, key = folder / "cert.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(words, check=True, capture_output=True)
    return made, key


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
