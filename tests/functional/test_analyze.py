"""`trunkline analyze --serve` over a clone and a real Prometheus: what Argo Rollouts hears of a canary that fails."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.adapters.answering import AT_A_TIME
from tests import rollouts
from tests.project import ROOT
from tests.rollouts import FAILING, Stage, canary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FREE = "http://127.0.0.1:9"


def get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


@pytest.fixture
def line(watched: tuple[float, Mapping[str, str]], tmp_path: Path) -> Stage:
    """A repository in which version 3 of churn, which fails, is rolled out in production."""
    made = rollouts.stage(tmp_path / "line", *watched)
    canary(made, FAILING)
    return made


def not_in_the_image() -> list[str]:
    """What the project imports but the analyzer's image has not; an import of any of these is to fail."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = declared["dependencies"] + declared["optional-dependencies"]["release"]
    names = {re.split(r"[^\w-]", each)[0].replace("-", "_").replace("scikit_learn", "sklearn") for each in wanted}
    (installed,) = re.findall(r"pip install .* constraints.txt (.*)", (ROOT / "k8s/analysis/Dockerfile").read_text())
    return sorted(names - set(installed.split()))


@contextmanager
def serving(line: Stage, prometheus: str | None = None) -> Iterator[str]:
    """The address of an analyzer, which ends as it is told to."""
    env = {**os.environ, **line.surroundings, **({"TRUNKLINE_PROMETHEUS": prometheus} if prometheus else {})}
    lacking = f"import sys; sys.modules.update(dict.fromkeys({not_in_the_image()}))"
    script = f"{lacking}; from ci.cli import main; sys.exit(main(['analyze', '--serve', '--port', '0']))"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=line.root, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", process.stdout.readline())
        assert found
        yield found[0]
    finally:
        process.terminate()
        assert process.wait(20) == 0


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


def test_a_canary_that_fails_is_told_to_be_taken_back(line: Stage) -> None:
    with serving(line) as url:
        place = f"{url}/v1/analysis/production/churn?version=3"
        status, found = get(f"{place}&weight=5")
        assert (status, found["decision"], argo(found)) == (200, "rollback", "failure"), found
        assert found["metrics"]["errors"]["e"] > found["metrics"]["errors"]["needed"]
        assert argo({"decision": "hold"}) == "inconclusive"
        assert {argo({"decision": one}) for one in ("step", "promote")} == {"success"}
        assert get(f"{place}&weight=5")[1] == found, "looked at once"
        assert get(f"{place}1&weight=5")[0] == 409, "of another canary nothing is said"
        assert get(f"{url}/v1/analysis/production/chrun")[0] == 404
    with serving(line) as url:  # it was restarted in mid-rollout, and has forgotten all it saw
        status, again = get(f"{url}/v1/analysis/production/churn?version=3&weight=25")
    assert (status, again["decision"], again["weight"]) == (200, "rollback", 25)
    assert again["metrics"]["errors"]["e"] == pytest.approx(found["metrics"]["errors"]["e"])
    assert "churn in production, 5 %: rollback: " in line.run("analyze", "churn", "--environment", "production")
    assert line.git("status", "--porcelain") == ""
    assert not line.root.joinpath(line.bare).exists(), "nothing was written"


def test_an_outage_is_neither_success_nor_failure(line: Stage) -> None:
    with serving(line, FREE) as url:
        place = f"{url}/v1/analysis/production/churn?version=3&weight=5"
        with ThreadPoolExecutor(AT_A_TIME + 8) as pool:
            asked = [pool.submit(get, place) for _ in range(AT_A_TIME + 8)]
            assert get(f"{url}/healthz") == (200, {"ok": True}), "busy, but well"
            found = [each.result() for each in asked]
        assert {status for status, _ in found} == {503}
        words = " ".join(message["error"] for _, message in found)
        assert "No answer came from Prometheus" in words
        assert "too much is being asked at once" in words


def test_what_is_no_question_is_refused_in_json(line: Stage) -> None:
    with serving(line, FREE) as url:
        for asked in (b"POST /v1/analysis/production/churn HTTP/1.0\r\n\r\n", b"\x16\x03\x01 nonsense\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as client:
                client.sendall(asked)
                answer = b"".join(iter(lambda: client.recv(4096), b""))
            assert set(json.loads(answer.rpartition(b"\r\n")[2])) == {"error"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "name MODEL and --environment, or --serve alone."),
        (("churn",), "name both MODEL and --environment."),
        (("churn", "--serve"), "name MODEL and --environment, or --serve alone."),
        (("chrun", "--environment", "production"), "did you mean 'churn'?"),
        (("churn", "--environment", "staging"), "nothing of churn is being rolled out in staging"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(line: Stage, args: tuple[str, ...], words: str) -> None:
    assert words in line.run("analyze", *args, code=1)


def test_a_port_that_is_taken_is_told(line: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"cannot listen at 127.0.0.1:{port}: " in line.run("analyze", "--serve", "--port", port, code=2)
