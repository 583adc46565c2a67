"""A small stateful stand-in for GitHub on 127.0.0.1, held to GitHub's OpenAPI description and GraphQL schema.

In a test: `with running(State(...)) as github:`, which fails at the end if anything broke the contract.
As a process: `python -m tests.github.server --port-file F --state FILE`; the state is read from and kept in FILE.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from ci.adapters.files import write_record, write_text
from tests.github.contract import Contract, ContractBroken, contract, load
from tests.github.routes import DOCS, Answer, Routes
from tests.github.state import Check, Comment, Dispatch, Fault, Issue, Pull, Review, Run, State

__all__ = [
    "Check",
    "Comment",
    "Dispatch",
    "Fault",
    "GitHub",
    "Issue",
    "Pull",
    "Review",
    "Run",
    "State",
    "running",
    "serve",
]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST_PAGE = 100
VERSION = "2022-11-28"


class GitHub(Routes):
    """The stand-in: `before`, when set, is called with method and path of each request, outside the lock."""

    def __init__(self, state: State, held_to: Contract, keep: Path | None = None) -> None:
        super().__init__(state, held_to)
        self.before: Callable[[str, str], None] | None = None
        self._keep = keep
        self._lock = threading.Lock()

    def bodies(self, number: int) -> list[str]:
        """The comments under a pull request, oldest first."""
        return [one.body for one in self.state.comments if one.number == number]

    def count(self, method: str) -> int:
        """How many requests of a method there were."""
        return sum(line.startswith(f"{method} ") for line in self.state.requests)

    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """Answer one request; None drops the connection."""
        parts = urlsplit(target)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        if self.before is not None:
            self.before(method, parts.path)
        with self._lock:
            self.state.requests.append(f"{method} {target}")
            try:
                _require_what_github_lets_pass(pairs, headers)
                return self._checked(method, parts.path, dict(pairs), headers, body)
            except ContractBroken as broken:
                self.state.violations.append(str(broken))
                return 500, {}, {"message": f"The contract is broken: {broken}"}
            finally:
                if self._keep is not None:
                    write_record(self._keep, self.state)

    def _checked(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> Answer | None:
        graphql = (method, path) == ("POST", "/graphql")  # the one door that OpenAPI does not describe
        asked = None if graphql else self._contract.request(method, path, query, body, headers.get("content-type", ""))
        fault = next((one for one in self.state.faults if one.method == method and re.search(one.path, path)), None)
        answer: Answer
        if fault is None or fault.after_write:
            given = json.loads(body or b"null")
            answer = self._refused(method, path, headers) or (
                self.mutate(given) if graphql else self.do(method, path, query, given)
            )
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.state.faults.remove(fault)
            if fault.status == 0:
                return None
            answer = fault.status, fault.headers, {"message": fault.message, "documentation_url": DOCS}
        status, _, data = answer
        if asked is not None:
            self._contract.response(asked, status, b"" if data is None else json.dumps(self._described(data)).encode())
        return answer

    def _described(self, data: Any) -> Any:
        """The answer as its description wants it.

        It denies that the `head.repo` of a deleted fork is null, and the conclusion of a check that goes on.
        """
        if isinstance(data, dict) and "check_runs" in data:
            runs = [{**one, "conclusion": one["conclusion"] or "neutral"} for one in data["check_runs"]]
            return {**data, "check_runs": runs}
        if not isinstance(data, list):
            return data
        repo = self._contract.example("pull-request-simple-items")[0]["head"]["repo"]
        return [
            {**one, "head": {**one["head"], "repo": repo}} if one.get("head", {"repo": 0})["repo"] is None else one
            for one in data
        ]

    def _refused(self, method: str, path: str, headers: dict[str, str]) -> Answer | None:
        if headers.get("authorization") != f"Bearer {self.state.token}":
            return 401, {}, {"message": "Bad credentials"}
        denied = any(re.fullmatch(pattern, f"{method} {path}") for pattern in self.state.denied)
        if denied or (method != "GET" and not self.state.writable):
            needs = {"x-accepted-github-permissions": "issues=write; pull_requests=write"}
            return 403, needs, {"message": "Resource not accessible by integration"}
        return None


def _require_what_github_lets_pass(query: list[tuple[str, str]], headers: dict[str, str]) -> None:
    """Refuse what GitHub would answer otherwise than was meant: a page cut to 100, one of two values for a key."""
    names = [name for name, _ in query]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ContractBroken(f"query parameters given twice: {sorted(twice)}")
    size = dict(query).get("per_page", "1")
    if size.isdecimal() and not 1 <= int(size) <= LARGEST_PAGE:
        raise ContractBroken(f"per_page is {size}, and has to be 1 to {LARGEST_PAGE}")
    if (version := headers.get("x-github-api-version", VERSION)) != VERSION:
        raise ContractBroken(f"API version {version} instead of {VERSION}")


def serve(github: GitHub) -> ThreadingHTTPServer:
    """A server for the stand-in on a free port of 127.0.0.1, not yet started."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer's body waits 40 ms until its head is acknowledged

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = github.handle(self.command, self.path, headers, body)
            if answer is None:
                self.close_connection = True
                return
            status, extra, data = answer
            content = b"" if data is None else json.dumps(data).encode()
            self.send_response(status)
            for name, value in {**extra, "content-type": "application/json; charset=utf-8"}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _handle  # noqa: N815  # names that http.server looks up

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Tests read `state.requests` instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    github.url = f"http://127.0.0.1:{server.server_address[1]}"
    return server


@contextmanager
def running(state: State) -> Iterator[GitHub]:
    """The stand-in in a thread. At the end nothing may have broken the contract."""
    github = GitHub(state, contract())
    server = serve(github)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    if github.state.violations:
        raise ContractBroken("\n".join(github.state.violations))


def main() -> None:
    """Serve until killed; the port file appears once requests are accepted."""
    parser = argparse.ArgumentParser(description="A stand-in for GitHub's REST API.")
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    given = parser.parse_args()
    state = State.model_validate_json(given.state.read_bytes()) if given.state.exists() else State()
    github = GitHub(state, load(), keep=given.state)
    server = serve(github)
    write_text(given.port_file, str(server.server_address[1]))
    server.serve_forever()


if __name__ == "__main__":
    main()
