"""`trunkline analyze --serve` over a clone and a real Prometheus: what Argo Rollouts hears of a canary that fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.adapters.answering import AT_A_TIME
from ci.cli import main
from ci.core.manifests.overlays import placeholder
from ci.core.release import dump, path_of, release
from tests.project import ROOT, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STABLE = placeholder("registry.example.com/line", "fraud", "production").spec.stable
CANARY = STABLE.model_copy(
    update={
        "image": STABLE.image.replace("0" * 64, "2" * 64),
        "version": "12",
        "lineage": STABLE.lineage.model_copy(update={"model_hash": "2" * 64, "lock_hash": "2" * 64}),
    }
)
MINUTES = 30
pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")), reason="needs `apt-get install prometheus`"
)


def samples(now: float) -> str:
    """OpenMetrics of both tracks up to now: 10 requests a second each, of which the canary's fail 8 %, stable's 1 %."""
    lines = ["# TYPE trunkline_serve_requests counter", "# TYPE process_start_time_seconds gauge"]
    start = now - 60 * MINUTES - 3600
    started, requests = [], []
    for track, version, failed in (("canary", CANARY, 0.08), ("stable", STABLE, 0.01)):
        place = f'environment="production",track="{track}",instance="{track}:8080",job="server"'
        labels = f'{place},model="fraud",version="{version.lineage.model_hash[:12]}",route="infer"'
        for step in range(4 * MINUTES + 1):
            at, many = now - 60 * MINUTES + 15 * step, 150 * step
            started.append(f"process_start_time_seconds{{{place}}} {start} {at}")
            for code, count in (("200", many - int(failed * many)), ("500", int(failed * many))):
                requests.append(f'trunkline_serve_requests_total{{{labels},code="{code}"}} {count} {at}')
    return "\n".join([lines[0], *requests, lines[1], *started, "# EOF", ""])


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


@contextmanager
def running(*args: str, **kwargs: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(args, text=True, **kwargs)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """A Prometheus that has seen half an hour of both tracks."""
    (tmp_path / "samples").write_text(samples(time.time() // 15 * 15))
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(tmp_path / "samples"), str(tmp_path / "data")]
    subprocess.run(made, check=True, capture_output=True)
    (tmp_path / "prometheus.yml").write_text("{}")
    port = free_port()
    told = (f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}")
    with running("prometheus", *told, f"--web.listen-address=127.0.0.1:{port}", stderr=subprocess.DEVNULL):
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5)
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def line(tmp_path: Path) -> Project:
    """A repository in which fraud is being rolled out in production since before the samples."""
    line = Project(tmp_path / "line")
    path = line.root / path_of("fraud", "production")
    path.parent.mkdir(parents=True)
    path.write_text(dump(release("fraud", "production", stable=STABLE, canary=CANARY, weight=5)))
    shutil.copy2(ROOT / "params.yaml", line.root)
    line.git("init", "--quiet")
    line.git("add", "-A")
    when = f"@{int(time.time()) - 60 * MINUTES} +0000"
    line.run("git", "commit", "--quiet", "--message", "Release", GIT_COMMITTER_DATE=when)
    return line


def not_in_the_image() -> list[str]:
    """What the project imports but the analyzer's image has not; an import of any of these is to fail."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = declared["dependencies"] + declared["optional-dependencies"]["release"]
    names = {re.split(r"[^\w-]", each)[0].replace("-", "_").replace("scikit_learn", "sklearn") for each in wanted}
    (installed,) = re.findall(r"pip install .* constraints.txt (.*)", (ROOT / "k8s/analysis/Dockerfile").read_text())
    return sorted(names - set(installed.split()))


@contextmanager
def serving(line: Project, prometheus: str) -> Iterator[str]:
    env = {**os.environ, "TRUNKLINE_PROMETHEUS": prometheus}
    lacking = f"import sys; sys.modules.update(dict.fromkeys({not_in_the_image()}))"
    script = f"{lacking}; from ci.cli import main; sys.exit(main(['analyze', '--serve', '--port', '0']))"
    with running(
        sys.executable, "-c", script, cwd=line.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", process.stdout.readline())
        assert found
        yield found[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def argo(answer: Any) -> str:
    """What a measurement is to Argo Rollouts, by the conditions of the AnalysisTemplate, which Python reads alike."""
    template = yaml.safe_load((ROOT / "k8s/engines/argo-rollouts/analysistemplate.yaml").read_text())
    (metric,) = template["spec"]["metrics"]
    result = {"result.decision": repr(answer["decision"])}
    for phase in ("failure", "success"):
        condition = metric[f"{phase}Condition"]
        for name, value in result.items():
            condition = condition.replace(name, value)
        if eval(condition, {"__builtins__": {}}):
            return phase
    return "inconclusive"


def test_a_canary_that_fails_is_told_to_be_taken_back(line: Project, prometheus: str) -> None:
    before = line.git("status", "--porcelain", "--ignored")
    with serving(line, prometheus) as url:
        place = f"{url}/v1/analysis/production/fraud?version=12"
        status, found = get(f"{place}&weight=5")
        assert (status, found["decision"], argo(found)) == (200, "rollback", "failure"), found
        assert found["metrics"]["errors"]["e"] > found["metrics"]["errors"]["needed"]
        assert argo({"decision": "hold"}) == "inconclusive"
        assert {argo({"decision": one}) for one in ("step", "promote")} == {"success"}
        assert get(f"{place}&weight=5")[1] == found, "looked at once"
        assert get(f"{place}1&weight=5")[0] == 409, "of another canary nothing is said"
        assert get(f"{url}/v1/analysis/production/frad")[0] == 404
        assert get(f"{url}/healthz") == (200, {"ok": True})
    with serving(line, prometheus) as url:  # it was restarted, and has forgotten all it saw
        status, again = get(f"{url}/v1/analysis/production/fraud?version=12&weight=25")
        assert (status, again["decision"], again["weight"]) == (200, "rollback", 25)
        assert again["metrics"]["errors"]["e"] >= found["metrics"]["errors"]["e"] / 10
    said = line.trunkline("analyze", "fraud", "--environment", "production", TRUNKLINE_PROMETHEUS=prometheus).stdout
    assert "fraud in production, 5 %: rollback: " in said
    assert line.git("status", "--porcelain", "--ignored") == before


def test_an_outage_is_neither_success_nor_failure(line: Project) -> None:
    with serving(line, f"http://127.0.0.1:{free_port()}") as url:
        place = f"{url}/v1/analysis/production/fraud?version=12&weight=5"
        with ThreadPoolExecutor(AT_A_TIME + 8) as pool:
            asked = [pool.submit(get, place) for _ in range(AT_A_TIME + 8)]
            assert {each.result()[0] for each in asked[-1:]} == {503}
            assert get(f"{url}/healthz") == (200, {"ok": True}), "busy, but well"
            found = [each.result() for each in asked]
        assert {status for status, _ in found} == {503}
        words = " ".join(message["error"] for _, message in found)
        assert "No answer came from Prometheus" in words
        assert "too much is being asked at once" in words


def test_what_is_no_question_is_refused_in_json(line: Project) -> None:
    with serving(line, "http://127.0.0.1:9") as url:
        for asked in (b"POST /v1/analysis/production/fraud HTTP/1.0\r\n\r\n", b"\x16\x03\x01 nonsense\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as client:
                client.sendall(asked)
                answer = b"".join(iter(lambda: client.recv(4096), b""))
            assert set(json.loads(answer.rpartition(b"\r\n")[2])) == {"error"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "name MODEL and --environment, or --serve alone."),
        (("fraud",), "name both MODEL and --environment."),
        (("fraud", "--serve"), "name MODEL and --environment, or --serve alone."),
        (("frad", "--environment", "production"), "did you mean 'fraud'?"),
        (("fraud", "--environment", "staging"), "nothing of fraud is being rolled out in staging"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(
    line: Project,
    args: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(line.root)
    assert main(["analyze", *args]) == 1
    assert words in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(
    line: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(line.root)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["analyze", "--serve", "--port", port]) == 2
    assert f"cannot listen at 127.0.0.1:{port}: " in capsys.readouterr().err
