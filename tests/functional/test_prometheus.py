"""Prometheus for real, and a stand-in for what it says when it is not well."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ci.adapters import prometheus as door
from ci.adapters.prometheus import CHUNK, TRIES, Prometheus, address
from ci.commands.analysis import look
from ci.core.canary.counts import Series
from ci.core.canary.rules import Rules, Slos
from ci.core.canary.tallies import REQUESTS
from ci.core.drift import expressions
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.params import Environment
from tests.prometheus import free_port, running, store
from tests.unit.ci.core.canary.samples import T0, Kept, made, stands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RULES = Rules(slos=Slos(errors=0.05))
PLACE = Environment(steps=[10, 50, 100])


# --- for real --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Series], str]]:
    """Samples of a canary that errs twice as often, and a Prometheus that has them."""
    folder = tmp_path_factory.mktemp("prometheus")
    series = made(40, errors=0.02)
    refused = [counted(code, count) for code, count in (("200", 90.0), ("400", 2.0), ("422", 3.0), ("503", 5.0))]
    for each in series:  # as Prometheus keeps times
        object.__setattr__(each, "samples", [(round(at, 3), value) for at, value in each.samples])
    store(folder, [*series, *refused])
    with running(folder) as url:
        yield series, url


def counted(code: str, requests: float) -> Series:
    """Answers of another model, evenly over ten minutes."""
    labels = {"__name__": REQUESTS, "model": "other", "environment": "production", "route": "infer", "code": code}
    return Series(labels, [(T0 + 60 * minute, requests * minute / 10) for minute in range(11)])


def test_the_share_of_errors_and_of_fallbacks_is_that_of_what_was_counted(kept: tuple[list[Series], str]) -> None:
    prometheus = Prometheus(kept[1])
    asked = {one: one("other", "production", 600) for one in (expressions.errors, expressions.fallbacks)}
    found = {one: prometheus.value(words, T0 + 600) for one, words in asked.items()}
    assert found == {expressions.errors: pytest.approx(0.05), expressions.fallbacks: pytest.approx(0.1)}


def test_a_look_through_prometheus_sees_what_was_counted(kept: tuple[list[Series], str]) -> None:
    series, url = kept
    now = T0 + 2_300
    through = look(RULES, stands(), PLACE, None, Prometheus(url), now=now, since=T0)
    assert through == look(RULES, stands(), PLACE, None, Kept(series), now=now, since=T0)
    assert through.decision.action == "rollback"
    assert through.decision.metrics == ("errors",)


def test_looks_of_any_length_through_prometheus_end_in_the_same_evidence(kept: tuple[list[Series], str]) -> None:
    _, url = kept
    prometheus, before = Prometheus(url), None
    for now in (T0 + 61, T0 + 185.5, T0 + 186, T0 + 1_200, T0 + 2_300):
        before = look(RULES, stands(), PLACE, before, prometheus, now=now, since=T0)
    whole = look(RULES, stands(), PLACE, None, prometheus, now=T0 + 2_300, since=T0)
    assert before is not None
    assert before.evidence == whole.evidence
    assert before.points == whole.points


def test_samples_longer_than_one_answer_come_whole_and_once(kept: tuple[list[Series], str]) -> None:
    series, url = kept
    wanted = next(each for each in series if each.labels.get("code") == "500" and each.labels["route"] == "infer")
    selector = 'trunkline_serve_requests_total{code="500",route="infer",track="canary"}'
    (found,) = Prometheus(url).samples(selector, T0 - 900, T0 + 2_400)
    assert T0 + 2_400 - (T0 - 900) > CHUNK
    assert found.samples == wanted.samples


def test_an_expression_has_one_value_or_none(kept: tuple[list[Series], str]) -> None:
    _, url = kept
    asked = 'sum(increase(trunkline_serve_requests_total{{code="{}",track="canary"}}[30m]))'
    bad, good = (Prometheus(url).value(asked.format(code), T0 + 2_000) for code in ("500", "200"))
    assert bad is not None
    assert good is not None
    assert bad / (bad + good) == pytest.approx(0.032, abs=0.01)
    assert Prometheus(url).value("2 * 21", T0) == 42
    assert Prometheus(url).value("sum(nothing_total)", T0) is None
    assert Prometheus(url).value("0 / 0", T0) is None
    with pytest.raises(ConfigurationError, match=r"has [0-9]+ values at Prometheus; write an expression with one"):
        Prometheus(url).value("trunkline_serve_requests_total", T0 + 600)
    with pytest.raises(ConfigurationError, match="does not take sum"):
        Prometheus(url).value("sum(", T0)


def test_an_expression_is_no_selector(kept: tuple[list[Series], str]) -> None:
    _, url = kept
    with pytest.raises(ConfigurationError, match="does not take"):
        Prometheus(url).samples("sum(up)", T0, T0 + 60)


def test_what_is_scraped_is_read_with_the_labels_of_its_target(tmp_path: Path) -> None:
    started = time.time()

    def answer(_: str, __: dict[str, str]) -> tuple[int, str, str]:
        return 200, "text/plain; version=0.0.4", f"shop_orders_total {int((time.time() - started) * 10)}\n"

    with serving(answer) as exporter:
        config = json.dumps(
            {
                "scrape_configs": [
                    {
                        "job_name": "shop",
                        "scrape_interval": "200ms",
                        "scrape_timeout": "200ms",
                        "static_configs": [{"targets": [urlsplit(exporter).netloc], "labels": {"track": "canary"}}],
                    }
                ]
            }
        )
        with running(tmp_path, config) as url:
            found: list[Series] = []
            while time.time() < started + 30 and (not found or len(found[0].samples) < 4):
                time.sleep(0.2)
                found = Prometheus(url).samples('shop_orders_total{track="canary"}', started, time.time())
    (one,) = found
    assert (one.labels["job"], one.labels["track"]) == ("shop", "canary")
    values = [value for _, value in one.samples]
    assert values == sorted(values)
    assert values[-1] > values[0]


def test_a_prometheus_that_comes_back_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path, made(2))
    port = free_port()
    with running(tmp_path, port=port) as url:
        pass
    back = running(tmp_path, port=port)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            back.__enter__()

    try:
        assert Prometheus(url, sleep=sleep).samples('trunkline_serve_requests_total{track="canary"}', T0, T0 + 60)
    finally:
        back.__exit__(None, None, None)
    assert waits == [1.0]
    assert "No answer came from Prometheus" in capsys.readouterr().err


# --- when it is not well ---------------------------------------------------------------------------


class serving:  # noqa: N801 - a context manager
    """A server that answers a path and its query with status, content type and text."""

    def __init__(self, answer: Callable[[str, dict[str, str]], tuple[int, str, str]]) -> None:
        self.logins: list[str | None] = []
        logins = self.logins

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                logins.append(self.headers.get("authorization"))
                status, kind, text = answer(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()})
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("location", "/login") if status == 302 else None
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - likewise
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def matrix(*values: tuple[float, str], **more: Any) -> str:
    result = [{"metric": {"__name__": "a_total"}, "values": [list(value) for value in values]}] if values else []
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}, **more})


def failing(kind: str, words: str) -> str:
    return json.dumps({"status": "error", "errorType": kind, "error": words})


def ask(*answers: tuple[int, str]) -> tuple[list[Series], list[float]]:
    """What comes of these answers, one after the other, and the waits between them."""
    left = list(answers)
    waits: list[float] = []

    def answer(path: str, query: dict[str, str]) -> tuple[int, str, str]:
        assert path == "/prefix/api/v1/query"
        assert query == {"query": "a_total{}[60000ms]", "time": "160.000"}
        status, text = left.pop(0) if len(left) > 1 else left[0]
        return status, "application/json", text

    with serving(answer) as url:
        return Prometheus(f"{url}/prefix", sleep=waits.append).samples("a_total{}", 100, 160), waits


def test_raw_samples_are_read_and_what_is_no_number_is_not() -> None:
    found, waits = ask((200, matrix((110.5, "3"), (120, "NaN"), (130, "+Inf"), (140, "5"))))
    assert found == [Series({"__name__": "a_total"}, [(110.5, 3.0), (140.0, 5.0)])]
    assert waits == []
    assert ask((200, matrix())) == ([], [])


def test_who_asks_is_told_where_the_environment_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serving(lambda *_: (200, "application/json", matrix()))
    with server as url:
        Prometheus(url).samples("a_total{}", 100, 160)
        monkeypatch.setenv("PROMETHEUS_USER", "dana")
        monkeypatch.setenv("PROMETHEUS_PASSWORD", "secret")
        Prometheus(url).samples("a_total{}", 100, 160)
    assert server.logins == [None, f"Basic {base64.b64encode(b'dana:secret').decode()}"]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_asked_again(status: int) -> None:
    found, waits = ask((status, failing("timeout", "query timed out")), (status, "<html>"), (200, matrix((110, "1"))))
    assert len(found) == 1
    assert waits == [1.0, 2.0]


def test_what_does_not_pass_ends_in_a_sentence() -> None:
    with pytest.raises(EnvironmentFault, match=r"answered 503 \(“query timed out”\), 4 times; .*nothing is lost"):
        ask((503, failing("timeout", "query timed out")))


@pytest.mark.parametrize(
    ("status", "text", "fault", "words"),
    [
        (400, failing("bad_data", "parse error"), ConfigurationError, r"does not take a_total.*\(“parse error”\)"),
        (422, failing("execution", "too many samples"), EnvironmentFault, "answered 422 to a query.*too many samples"),
        (401, "who are you", EnvironmentFault, "answered 401 to a query"),
        (302, "", EnvironmentFault, "answered 302 to a query"),
        (404, "<html>", EnvironmentFault, "answered 404"),
        (200, "<html>", EnvironmentFault, "not Prometheus' API"),
        (
            200,
            '{"status": "success", "data": {"resultType": "vector", "result": []}}',
            EnvironmentFault,
            "not Prometheus'",
        ),
        (200, '{"status": "success", "data": {"resultType": "matrix", "result": [1]}}', EnvironmentFault, "not Prom"),
        (200, "[]", EnvironmentFault, "not Prometheus' API"),
        (200, matrix((110, "1"), warnings=["remote read failed"]), EnvironmentFault, r"in part \(.*remote read failed"),
    ],
)
def test_an_answer_that_is_no_use_is_one_sentence(status: int, text: str, fault: type[Exception], words: str) -> None:
    with pytest.raises(fault, match=words):
        ask((status, text))


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "TIMEOUT", (0.2, 0.2))
    done = threading.Event()

    def answer(_: str, __: dict[str, str]) -> tuple[int, str, str]:
        done.wait(10)
        return 200, "application/json", matrix()

    with serving(answer) as url:
        with pytest.raises(EnvironmentFault, match=rf"ReadTimeout\), {TRIES} times"):
            Prometheus(url, sleep=lambda _: None).samples("a_total{}", 0, 1)
        done.set()


def test_nobody_there_is_one_sentence() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(EnvironmentFault, match=r"No answer came from Prometheus .* check that it runs"):
        Prometheus(url, sleep=lambda _: None).samples("a_total{}", 0, 1)


# --- its address -----------------------------------------------------------------------------------


def test_the_machines_address_goes_before_the_repositorys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUNKLINE_PROMETHEUS", raising=False)
    assert address("https://prometheus.example/x/") == "https://prometheus.example/x"
    monkeypatch.setenv("TRUNKLINE_PROMETHEUS", "http://127.0.0.1:9091")
    assert address("https://prometheus.example") == "http://127.0.0.1:9091"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "prometheus:9090",
        "ftp://x",
        "http://",
        "http://a:b@c",
        "http://c?x=1",
        "http://c#x",
        "http://c:0",
        "http://c:x",
    ],
)
def test_an_address_that_is_none_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUNKLINE_PROMETHEUS", raising=False)
    with pytest.raises(ConfigurationError, match=r"params.yaml: 'release.prometheus' is not the address"):
        address(url)
