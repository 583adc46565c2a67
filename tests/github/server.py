"""A small stateful stand-in for GitHub's REST API on 127.0.0.1, held to GitHub's OpenAPI description.

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
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict

from ci.adapters.files import write_record, write_text
from tests.github.contract import Contract, ContractBroken, contract, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST = 65_536  # UTF-16 units of a comment
LARGEST_PAGE = 100
VERSION = "2022-11-28"
DOCS = "https://docs.github.com/rest"
Answer = tuple[int, dict[str, str], Any]


class Part(BaseModel):
    """A piece of the state; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Comment(Part):
    """An issue comment."""

    id: int
    number: int
    author: str
    body: str


class Pull(Part):
    """A pull request; `head` is owner:branch, `fork_deleted` that its repository is gone."""

    number: int
    sha: str
    head: str = "octo:change"
    base: str = "main"
    fork_deleted: bool = False
    locked: bool = False
    state: str = "open"


class Fault(Part):
    """What goes wrong with the next `times` requests that match: no answer (`status` 0), or an error.

    With `after_write` the request is done all the same.
    """

    method: str
    path: str = ".*"
    status: int = 0
    headers: dict[str, str] = {}
    message: str = "Something went wrong"
    times: int = 1
    after_write: bool = False


class State(Part):
    """What the stand-in knows, and what it was asked."""

    repo: str = "octo/line"
    login: str = "github-actions[bot]"
    token: str = "secret-token"
    writable: bool = True
    page_size: int = 30
    comments: list[Comment] = []
    pulls: list[Pull] = []
    faults: list[Fault] = []
    requests: list[str] = []
    violations: list[str] = []


class GitHub:
    """The stand-in: `before`, when set, is called with method and path of each request, outside the lock."""

    def __init__(self, state: State, held_to: Contract, keep: Path | None = None) -> None:
        self.state = state
        self.before: Callable[[str, str], None] | None = None
        self.url = ""
        self._contract = held_to
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
        asked = self._contract.request(method, path, query, body, headers.get("content-type", ""))
        fault = next((one for one in self.state.faults if one.method == method and re.search(one.path, path)), None)
        answer: Answer
        if fault is None or fault.after_write:
            answer = self._refused(method, headers) or self._do(method, path, query, json.loads(body or b"null"))
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.state.faults.remove(fault)
            if fault.status == 0:
                return None
            answer = fault.status, fault.headers, {"message": fault.message, "documentation_url": DOCS}
        status, _, data = answer
        self._contract.response(asked, status, b"" if data is None else json.dumps(self._described(data)).encode())
        return answer

    def _described(self, data: Any) -> Any:
        """The answer as its description wants it, which denies that the `head.repo` of a deleted fork is null."""
        if not isinstance(data, list):
            return data
        repo = self._contract.example("pull-request-simple-items")[0]["head"]["repo"]
        return [
            {**one, "head": {**one["head"], "repo": repo}} if one.get("head", {"repo": 0})["repo"] is None else one
            for one in data
        ]

    def _refused(self, method: str, headers: dict[str, str]) -> Answer | None:
        if headers.get("authorization") != f"Bearer {self.state.token}":
            return 401, {}, {"message": "Bad credentials"}
        if method != "GET" and not self.state.writable:
            needs = {"x-accepted-github-permissions": "issues=write; pull_requests=write"}
            return 403, needs, {"message": "Resource not accessible by integration"}
        return None

    def _do(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        base = f"/repos/{self.state.repo}"
        if method == "GET" and path == f"{base}/pulls":
            return self._pulls(path, query)
        if listed := re.fullmatch(rf"{base}/issues/(\d+)/comments", path):
            number = int(listed[1])
            pull = next((one for one in self.state.pulls if one.number == number), None)
            if pull is None:
                return _not_found()
            if method == "POST":
                return _locked() if pull.locked else self._create(number, body["body"])
            ours = [self._comment(one) for one in self.state.comments if one.number == number]
            return self._page(path, query, ours)
        if named := re.fullmatch(rf"{base}/issues/comments/(\d+)", path):
            return self._one(method, int(named[1]), body)
        return _not_found()

    def _pulls(self, path: str, query: dict[str, str]) -> Answer:
        state = query.get("state", "open")
        found = [one for one in self.state.pulls if state in {one.state, "all"}]
        if ":" in query.get("head", ""):  # GitHub does not filter by a head it cannot read
            found = [one for one in found if one.head == query["head"] and not one.fork_deleted]
        if "base" in query:
            found = [one for one in found if one.base == query["base"]]
        return self._page(path, query, [self._pull(one) for one in found])

    def _create(self, number: int, body: str) -> Answer:
        if _too_long(body):
            return _invalid()
        last = max((one.id for one in self.state.comments), default=0)
        made = Comment(id=last + 1, number=number, author=self.state.login, body=body)
        self.state.comments.append(made)
        data = self._comment(made)
        return 201, {"location": data["url"]}, data

    def _one(self, method: str, key: int, body: Any) -> Answer:
        found = next((one for one in self.state.comments if one.id == key), None)
        if found is None:
            return _not_found()
        if method != "GET" and any(pull.locked for pull in self.state.pulls if pull.number == found.number):
            return _locked()
        if method == "DELETE":
            self.state.comments.remove(found)
            return 204, {}, None
        if method == "PATCH":
            if _too_long(body["body"]):
                return _invalid()
            found.body = body["body"]
        return 200, {}, self._comment(found)

    def _page(self, path: str, query: dict[str, str], items: list[Any]) -> Answer:
        size = min(int(query.get("per_page", "30")), self.state.page_size)
        page = int(query.get("page", "1"))
        headers = {}
        if page * size < len(items):
            following = urlencode({**query, "page": page + 1})
            headers["link"] = f'<{self.url}{path}?{following}>; rel="next", <{self.url}{path}?page=99>; rel="last"'
        return 200, headers, items[(page - 1) * size : page * size]

    def _comment(self, one: Comment) -> dict[str, Any]:
        example: dict[str, Any] = self._contract.example("issue-comment")
        user = {**example["user"], "login": one.author}
        url = f"https://api.github.com/repos/{self.state.repo}/issues/comments/{one.id}"
        return {**example, "id": one.id, "body": one.body, "user": user, "url": url}

    def _pull(self, one: Pull) -> dict[str, Any]:
        example: dict[str, Any] = self._contract.example("pull-request-simple-items")[0]
        owner, _, branch = one.head.partition(":")
        head = {**example["head"], "label": one.head, "ref": branch, "sha": one.sha}
        head["user"] = {**head["user"], "login": owner}
        if one.fork_deleted:
            head |= {"repo": None, "user": None}
        base = {**example["base"], "ref": one.base}
        # GitHub's example of a team lacks what its own schema requires.
        return {**example, "number": one.number, "state": one.state, "head": head, "base": base, "requested_teams": []}


def _not_found() -> Answer:
    return 404, {}, {"message": "Not Found", "documentation_url": DOCS}


def _invalid() -> Answer:
    return 422, {}, {"message": "Validation Failed", "documentation_url": DOCS}


def _locked() -> Answer:
    return 403, {}, {"message": "Unable to create comment because issue is locked."}


def _too_long(body: str) -> bool:
    return not body or len(body.encode("utf-16-le")) // 2 > LONGEST


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
