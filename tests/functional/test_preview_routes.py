"""Routes as a real Traefik takes them: which backend answers which request, and what a change of them loses."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ci.adapters.programs import free_port
from ci.adapters.traefik import Traefik
from ci.core.preview.pods import wanted
from ci.core.preview.routes import configuration, rules
from tests.unit.ci.core.preview.objects import everything, match, route, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACKS = ("stable", "canary")
PATH = "/v2/models/toy/infer"


class Backends:
    """Two servers that say their name and count what they are asked, and a Traefik before them."""

    def __init__(self, traefik: Traefik, ports: dict[str, int], asked: Counter[str]) -> None:
        self.traefik = traefik
        self.asked = asked
        self.addresses = {
            f"toy-production/server-{track}": [f"http://127.0.0.1:{port}"] for track, port in ports.items()
        }
        self._generation = 0

    def take(self, *routes: dict[str, Any], without: str = "") -> None:
        """Go by these routes; `without` names a track that has no pods."""
        objects = everything(*routes)
        addresses = {owner: urls for owner, urls in self.addresses.items() if not without or without not in owner}
        self._generation += 1
        named = f"generation-{self._generation}"
        self.traefik.write(configuration(rules(objects, wanted(objects)), addresses, named))
        assert self.traefik.has(named)

    def get(self, path: str = PATH, method: str = "POST", **headers: str) -> requests.Response:
        return requests.request(method, f"{self.traefik.url}{path}", data=b"{}", headers=headers, timeout=10)

    def answers(self, count: int, path: str = PATH, **headers: str) -> Counter[str]:
        """Who answered how many of `count` requests."""
        return Counter(self.get(path, **headers).text for _ in range(count))


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    asked: Counter[str] = Counter()
    place = tmp_path_factory.mktemp("traefik")
    with ExitStack() as stack:
        ports = {track: stack.enter_context(_server(track, asked)) for track in TRACKS}
        made = Backends(Traefik(place, free_port(), free_port()), ports, asked)
        made.traefik.write({})
        program = made.traefik.start()
        try:
            yield made
        finally:
            program.end()


@contextmanager
def _server(name: str, asked: Counter[str]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # else head and body go one after the other, and wait for each other

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked[name] += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        do_GET = do_POST  # noqa: N815 - as the library calls it

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_weights_split_and_none_is_none(backends: Backends) -> None:
    backends.take(route(rule(75, 25)))
    assert backends.answers(40) == {"stable": 30, "canary": 10}
    backends.take(route(rule(100, 0)))
    assert backends.answers(40) == {"stable": 40}


def test_a_prefix_is_of_whole_segments_and_hosts_are_the_routes_own(backends: Backends) -> None:
    backends.take(route(rule(1, None)))
    told = [backends.get(path).status_code for path in ("/v2/models/toy", "/v2/models/toy/", PATH, "/v2/models/toys")]
    assert told == [200, 200, 200, 404]
    assert backends.get(Host="production.models.example.com").status_code == 200
    assert backends.get(Host="staging.models.example.com").status_code == 404


def test_units_of_the_canary_stay_with_it(backends: Backends) -> None:
    pattern = {"type": "RegularExpression", "name": "X-Trunkline-Unit", "value": "^[0-3].*$"}
    backends.take(route(rule(1, 0)), route(rule(None, 1, matches=[match(headers=[pattern])]), name="units"))
    assert backends.answers(10, **{"X-Trunkline-Unit": "2f"}) == {"canary": 10}
    assert backends.answers(10, **{"X-Trunkline-Unit": "f2"}) == {"stable": 10}
    assert backends.answers(10) == {"stable": 10}


def test_copies_go_to_the_canary_and_its_answers_nowhere(backends: Backends) -> None:
    ref = {"name": "server-canary", "port": 80}
    shadow = {"type": "RequestMirror", "requestMirror": {"backendRef": ref, "percent": 50}}
    backends.take(route(rule(1, None, filters=[shadow])))
    backends.asked.clear()
    assert backends.answers(40) == {"stable": 40}
    for _ in range(100):
        if backends.asked["canary"] == 20:
            break
        threading.Event().wait(0.02)
    assert backends.asked == {"stable": 40, "canary": 20}


def test_a_track_without_pods_answers_its_share_with_503(backends: Backends) -> None:
    backends.take(route(rule(50, 50)), without="canary")
    assert Counter(backends.get().status_code for _ in range(20)) == {200: 10, 503: 10}
