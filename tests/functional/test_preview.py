"""`trunkline preview`: what the manifests say runs on this machine, and follows them without losing a request."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
import requests

from ci.core.release import Release, Version, dump, path_of, release
from tests.load import bodies, load
from tests.previews import Preview, preview, quick

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from tests.releases import Line

MODEL, ENVIRONMENT = "churn", "production"
FILE = path_of(MODEL, ENVIRONMENT)
OVERLAY = "k8s/models/churn/production/kustomization.yaml"
NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
STABLE, CANARY = "churn-production-server-stable", "churn-production-server-canary"


@pytest.fixture
def line(production_line: Line, tmp_path: Path) -> Line:
    """A churn in production, of one's own, which is scraped every second and waits for one before it ends."""
    made = production_line.copy(tmp_path / "project")
    made.pull()
    with (made.project.root / OVERLAY).open("a") as overlay:
        overlay.write(quick(1))
    made.project.commit("quick")
    return made


def stable(line: Line) -> Version:
    return line.released("main", ENVIRONMENT).spec.stable


def second(line: Line) -> Version:
    """Another version, which is the same image: what is tested is not what is in it."""
    return stable(line).model_copy(update={"version": "2"})


def write(line: Line, made: Release) -> None:
    part = line.project.root / f"{FILE}.part"
    part.write_text(dump(made))
    part.replace(line.project.root / FILE)


def step(line: Line, weight: int) -> None:
    write(line, release(MODEL, ENVIRONMENT, stable=stable(line), canary=second(line), weight=weight))


def shares(one: Preview, before: dict[str, float]) -> float:
    """The canary's share of the requests since `before`."""
    now = one.requests()
    canary, all_of_them = (
        sum(now.get(name, 0) - before.get(name, 0) for name in names) for names in ([CANARY], [CANARY, STABLE])
    )
    return canary / max(all_of_them, 1)


def alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def test_twenty_weights_and_two_releases_under_load_lose_no_request(line: Line, tmp_path: Path) -> None:
    with preview(line.project, outside=NO_DOCKER) as one:
        assert "No docker daemon answers" in one.said
        assert [len(one.pods(track)) for track in ("stable", "canary")] == [2, 1]
        target = f"{one.shown.url}/v2/models/{MODEL}/infer"
        with load(target, bodies(line.project.root, one.shown.url, MODEL, tmp_path / "rows")) as sent:
            step(line, 5)
            one.until(lambda one: [pod.version for pod in one.pods("canary")] == ["2"])
            for turn, weight in enumerate([10, 50, 25, 75] * 5, 1):
                step(line, weight)
                one.said_so(f"{CANARY} {weight}", (turn + 3) // 4)
            before = one.requests()
            time.sleep(2)
            assert shares(one, before) == pytest.approx(0.75, abs=0.05)
            write(line, release(MODEL, ENVIRONMENT, stable=second(line)))
            one.until(lambda one: {pod.version for pod in one.shown.pods} == {"2"})
            before = one.requests()
            time.sleep(1)
            assert shares(one, before) == 0
        assert sent.total > 500
        assert sent.failed == 0, sent
        assert_scraped(one)
        pids = [pod.runs for pod in one.shown.pods]
    assert not [pid for pid in pids if alive(pid)]


def assert_scraped(one: Preview) -> None:
    """Prometheus knows the pods by track and environment, and by what the server itself says."""
    assert one.shown.prometheus is not None
    asked = {"query": 'sum by (model, track, environment) (trunkline_serve_requests_total{route="infer",code="200"})'}
    found = requests.get(f"{one.shown.prometheus}/api/v1/query", params=asked, timeout=10).json()["data"]["result"]
    told = [result["metric"] for result in found]
    assert {"model": MODEL, "environment": ENVIRONMENT, "track": "stable"} in told
    assert {"model": MODEL, "environment": ENVIRONMENT, "track": "canary"} in told


def test_containers_are_replaced_and_started_again_without_losing_what_others_answer(
    line: Line, tmp_path: Path
) -> None:
    with preview(line.project, outside=line.outside) as one:
        target = f"{one.shown.url}/v2/models/{MODEL}/infer"
        with load(target, bodies(line.project.root, one.shown.url, MODEL, tmp_path / "rows")) as sent:
            for weight in (5, 50):
                step(line, weight)
                one.said_so(f"{CANARY} {weight}")
            one.until(lambda one: [pod.version for pod in one.pods("canary")] == ["2"])
            write(line, release(MODEL, ENVIRONMENT, stable=stable(line)))
            one.until(lambda one: {pod.version for pod in one.shown.pods} == {"1"})
        assert sent.failed == 0, sent
        docker(line).api.kill(one.pods("canary")[0].runs, signal.SIGKILL)
        one.said_so("ended with 137")
        one.until(lambda one: one.pods("canary")[0].restarts == 1 and one.pods("canary")[0].serving)
        containers = [pod.runs for pod in one.shown.pods]
    left = {container.id[:12] for container in docker(line).containers.list(all=True)}
    assert not left & set(containers)


def docker(line: Line) -> DockerClient:
    import docker as sdk

    return sdk.DockerClient(base_url=line.outside["DOCKER_HOST"])


def test_what_is_merged_is_followed(line: Line) -> None:
    root = line.project.root
    head = line.project.git("rev-parse", "HEAD")
    line.project.git("push", "--quiet", ".trunkline/forge.git", "HEAD:main")
    line.project.git("checkout", "--quiet", "--detach", "HEAD~2")
    with preview(line.project, "--ref", "main", "--repository", ".trunkline/forge.git", outside=NO_DOCKER) as one:
        assert f"from main at {head[:12]}" in one.said
        again = line.project.trunkline("preview", code=2, **NO_DOCKER).stderr
        assert "another preview runs in this repository; end it first" in again
        line.project.git("checkout", "--quiet", "main")
        step(line, 25)
        merged = line.project.commit("25 % to the canary")
        line.project.git("push", "--quiet", ".trunkline/forge.git", "HEAD:main")
        one.said_so(f"follows main at {merged[:12]}")
        one.until(lambda one: [pod.version for pod in one.pods("canary")] == ["2"])
        (root / OVERLAY).write_text("kind: Nonsense\n")
        line.project.commit("broken")
        line.project.git("push", "--quiet", ".trunkline/forge.git", "HEAD:main")
        one.said_so("What runs goes on as before")
        assert all(pod.serving for pod in one.shown.pods)


def test_a_new_version_that_does_not_get_ready_leaves_the_old_one_serving_and_a_killed_preview_is_cleaned_up(
    line: Line,
) -> None:
    broken = line.project.root / OVERLAY
    with preview(line.project, outside=NO_DOCKER) as one:
        url = f"{one.shown.url}/v2/models/{MODEL}"
        broken.write_text(broken.read_text() + BROKEN)
        one.said_so("SERVE_THREADS is 'none'")
        assert "gets no requests until it is ready" in one.said
        assert requests.get(url, timeout=10).status_code == 200
        pids = [pod.runs for pod in one.shown.pods if pod.serving]
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait()
    assert all(alive(pid) for pid in pids)
    broken.write_text(broken.read_text().replace(BROKEN, ""))
    with preview(line.project, outside=NO_DOCKER) as one:
        assert "pods that an earlier preview left" in one.said
        assert not [pid for pid in pids if alive(pid)]


BROKEN = """\
      - {op: add, path: /spec/template/spec/containers/0/env, value: [{name: SERVE_THREADS, value: none}]}
"""
