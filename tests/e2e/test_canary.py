"""A model's life in production, from end to end on one machine: docker, a registry, Traefik, Prometheus, git and load.

Version 2 is better in nothing and worse in nothing, and gets all of the traffic; 3 fails one request in fifty, 4 takes
a fifth longer, 5 scores otherwise, and each is taken back. Nobody decides but `trunkline rollout`, nobody acts but
`trunkline preview`, which follows what is merged as a GitOps agent does, and both are killed meanwhile.

It is one long test, since each version stands beside the one before. Its clock is three times as quick as production's:
counters are scraped each second and compared each ten, which count as half a minute. Both arms share two processors
with the load and with Prometheus, and each has one pod, so odds of being slow that would do in production are noise
here: version 4 has to be slower by far more than `tolerated` asks elsewhere, and is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from ci.adapters import registry as door
from ci.commands import lineage, packing
from ci.core.params import Environment
from ci.core.release import Version, dump, path_of, propose, release
from tests.load import Load, bodies, load
from tests.previews import Preview, preview, quick
from tests.project import BIN, IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.releases import Line

MODEL, ENVIRONMENT = "churn", "production"
FILE = path_of(MODEL, ENVIRONMENT)
FORGE = ".trunkline/forge.git"
STAGES = [f"validate@{MODEL}", *(f"{stage}@{MODEL}-full" for stage in ("prepare", "train", "evaluate", "profile"))]
STABLE = "churn-production-server-stable"
RATE = "ml/models/churn/params.yaml"
PATIENCE = 150.0  # seconds that a decision may take

RULES = "  rollout: {minutes: 1, requests: 600, tolerated: {slow: 4.0}}\n"
STEPS = ("steps: [5, 25, 50, 100]", "steps: [20, 33, 100]")
RULES_THERE = Environment(steps=[20, 33, 100])
TRUNKLINE = """\
import sys
from ci.core.canary import counts, progress
counts.WINDOW, counts.APART, counts.WARM = 10.0, 12.0, 5.0
from ci.cli import main
sys.exit(main())
"""
SHIFT = (
    "    return sklearn_boosting.fit(table,",
    """\
    from dataclasses import replace

    leave = table.frame[table.label].scatter(range(0, len(table.frame), 3), 1)
    table = replace(table, frame=table.frame.with_columns(leave))
    return sklearn_boosting.fit(table,""",
)


TOLD = [
    f"Roll {MODEL} 5 back in {ENVIRONMENT}",
    f"Release {MODEL} 5 to {ENVIRONMENT}",
    f"Roll {MODEL} 4 back in {ENVIRONMENT}",
    f"Release {MODEL} 4 to {ENVIRONMENT}",
    f"Roll {MODEL} 3 back in {ENVIRONMENT}",
    f"Release {MODEL} 3 to {ENVIRONMENT}",
    f"Promote {MODEL} 2 in {ENVIRONMENT}",
    f"Give {MODEL} 2 33 % of the traffic in {ENVIRONMENT}",
    f"Release {MODEL} 2 to {ENVIRONMENT}",
]
WHY = {"3": "errors", "4": "slower than", "5": "scores above"}


class Story:
    """A line with a model in production, and all that acts on it."""

    def __init__(self, line: Line, place: Path) -> None:
        self.line = line
        self.project = line.project
        self.place = place
        self.one: Preview | None = None

    @property
    def preview(self) -> Preview:
        assert self.one is not None
        return self.one

    def push(self, message: str) -> None:
        """Commit what was changed, and merge it."""
        self.project.commit(message)
        self.project.git("push", "--quiet", FORGE, "HEAD:main")

    def rollout(self) -> subprocess.Popen[str]:
        """`trunkline rollout`, on the quick clock."""
        env = {**os.environ, **IDENTITY, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        env["TRUNKLINE_PROMETHEUS"] = str(self.preview.shown.prometheus)
        args = [sys.executable, "-c", TRUNKLINE, "rollout", MODEL, "--environment", ENVIRONMENT]
        return subprocess.Popen(
            args, cwd=self.project.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def look(self) -> str:
        """Look once, and give what was said."""
        program = self.rollout()
        said, _ = program.communicate(timeout=120)
        assert program.returncode in {0, 2}, said
        assert "Traceback" not in said, said
        return said

    def until(self, words: str) -> None:
        """Look again and again until main has a commit of this title."""
        said, until = "", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            said = self.look()
            if any(words in subject for subject in self.subjects()):
                return
            time.sleep(1)
        pytest.fail(f"{words}: {said}\n{self.subjects()}\n{self.preview.said}")

    def subjects(self) -> list[str]:
        """The Git log of main, newest first."""
        return self.project.git("--git-dir", FORGE, "log", "--first-parent", "--format=%s", "main").splitlines()

    def serves(self, stable: str, canary: str) -> None:
        """Wait until these versions are what runs."""

        def holds(one: Preview) -> bool:
            runs = {(pod.track, pod.version) for pod in one.shown.pods if pod.serving}
            return runs == {("stable", stable), ("canary", canary)}

        self.preview.until(holds)

    def begin(self, version: Version) -> None:
        """Have a version in production, with nothing beside it."""
        (self.project.root / FILE).write_text(dump(release(MODEL, ENVIRONMENT, stable=version)))
        self.push(f"Version {version.version} in {ENVIRONMENT}")

    def release(self, version: Version) -> None:
        """Merge a version's release into production, as its canary."""
        self.line.pull()
        current = self.line.released("main", ENVIRONMENT)
        (self.project.root / FILE).write_text(dump(propose(MODEL, ENVIRONMENT, version, current, RULES_THERE)))
        self.push(f"Release {MODEL} {version.version} to {ENVIRONMENT}")


@pytest.fixture
def story(production_line: Line, tmp_path: Path) -> Story:
    """A churn whose version 1 is in production, on a quick clock."""
    line = production_line.copy(tmp_path / "project")
    line.pull()
    made = Story(line, tmp_path)
    line.project.edit("params.yaml", "defaults:\n", f"defaults:\n{RULES}")
    line.project.edit("params.yaml", *STEPS)
    with (line.project.root / "k8s/models/churn/production/kustomization.yaml").open("a") as overlay:
        overlay.write(quick(2))
    made.push("a quick clock")
    return made


@pytest.fixture(scope="module")
def client(docker_host: str) -> Iterator[DockerClient]:
    """The daemon that the pods are on."""
    import docker

    made = docker.DockerClient(base_url=docker_host, timeout=600)
    yield made
    made.close()


@pytest.fixture(scope="module")
def versions(production_line: Line, client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> list[Version]:
    """Versions 1 to 5: what is in production, a good one, one that fails, one that is slow, one that scores otherwise.

    All are trained; 3 and 4 are the same model, with two mistakes in its server. All images are that of version 1 with
    what differs laid over it: how one is packed from nothing, other tests show.
    """
    place = tmp_path_factory.mktemp("versions")
    maker = Maker(production_line.copy(place / "project"), client, place)
    return made(maker, production_line.released("main", ENVIRONMENT).spec.stable)


def made(maker: Maker, first: Version) -> list[Version]:
    steady = maker.served(first, "steady")
    second = maker.version("2", first.image, RATE, "learning_rate: 0.08", "learning_rate: 0.09")
    better = maker.served(second, "steady")
    third = maker.version("3", first.image, RATE, "learning_rate: 0.09", "learning_rate: 0.1")
    failing = maker.served(third, "errors")
    slow = maker.served(third.model_copy(update={"version": "4"}), "slow")
    fifth = maker.version("5", first.image, "ml/models/churn/model.py", *SHIFT)
    return [steady, better, failing, slow, maker.served(fifth, "steady")]


class Maker:
    """Makes versions elsewhere, so that the line's own checkout is left alone."""

    def __init__(self, line: Line, client: DockerClient, place: Path) -> None:
        self.line = line
        self.client = client
        self.place = place

    def version(self, number: str, image: str, file: str, before: str, after: str) -> Version:
        """A version trained with an edit of its sources, whose image is still another's."""
        project = self.line.project
        project.edit(file, before, after)
        project.run("dvc", "repro", "--single-item", *STAGES)
        project.commit(f"version {number}")
        made = lineage.of_head(project.root, MODEL)
        assert made is not None
        return Version(image=image, version=number, lineage=made)

    def served(self, version: Version, how: str) -> Version:
        """The version that was made last in an image of its own, whose server is as `faulty.py` has it."""
        place = self.place / f"{version.version}-{how}"
        (place / "model").mkdir(parents=True)
        packed = packing.pack(self.line.project.root, MODEL, version.lineage)
        for name in ("model/model.onnx", "model/serving.json"):
            (place / name).write_bytes(packed.context[name])
        (place / "faulty.py").write_bytes(Path(__file__).with_name("faulty.py").read_bytes())
        entry = f'ENTRYPOINT ["python3", "-m", "faulty", "{how}"]'
        (place / "Dockerfile").write_text(
            f"FROM {version.image}\nCOPY model /app/model\nCOPY faulty.py /app/faulty.py\n"
            f"ENV SERVE_THREADS=32\n{entry}\n"
        )
        repository, tag = version.image.partition("@")[0], place.name
        self.client.images.build(path=str(place), tag=f"{repository}:{tag}", labels=packed.labels, rm=True)
        self.client.images.push(repository, tag=tag)
        digest = door.digest_of(f"{repository}:{tag}")
        assert digest is not None
        return version.model_copy(update={"image": f"{repository}@{digest}"})


def failures(one: Preview, service: str) -> float:
    """Answers of a service with a server error, as Traefik counts them."""
    text = requests.get(f"http://{one.shown.traefik}/metrics", timeout=10).text
    lines = [line for line in text.splitlines() if line.startswith("traefik_service_requests_total{")]
    mine = [line for line in lines if f'service="{service}@file"' in line and 'code="5' in line]
    return sum(float(line.rpartition(" ")[2]) for line in mine)


def test_four_versions_come_and_three_of_them_go(
    story: Story, versions: list[Version], client: DockerClient, tmp_path: Path
) -> None:
    first, second, *bad = versions
    story.begin(first)
    with preview(story.project, "--ref", "main", "--repository", FORGE, outside=story.line.outside) as one:
        story.one = one
        target = f"{one.shown.url}/v2/models/{MODEL}/infer"
        rows = bodies(story.project.root, one.shown.url, MODEL, tmp_path / "rows")
        with load(target, rows, connections=16, pause=50) as sent:
            story.release(second)
            story.serves("1", "2")
            story.until(f"Give {MODEL} 2 33 % of the traffic in {ENVIRONMENT}")
        assert_whole(sent)
        with load(target, rows, connections=16, pause=50) as sent:
            chaos(story, client)
        assert sent.failed < sent.total / 4, sent
        with load(target, rows, connections=16, pause=50) as sent:
            story.until(f"Promote {MODEL} 2 in {ENVIRONMENT}")
            story.serves("2", "2")
        assert_whole(sent)
        killed = failures(one, STABLE)
        for version in bad:
            with load(target, rows, connections=16, pause=50) as sent:
                story.release(version)
                story.serves("2", version.version)
                story.until(f"Roll {MODEL} {version.version} back in {ENVIRONMENT}")
                story.serves("2", "2")
            assert failures(one, STABLE) == killed
            assert sent.unanswered == 0
            if version.version != "3":
                assert_whole(sent)
    assert story.subjects()[:9] == TOLD
    for number, why in WHY.items():
        words = story.project.git("--git-dir", FORGE, "log", "-1", f"--grep=Roll {MODEL} {number} back", "main")
        assert why in words
        assert all(
            other not in words.split("certainly worse")[1].splitlines()[0] for other in WHY.values() if other != why
        )
    assert story.line.released("main", ENVIRONMENT).spec.stable == second


def assert_whole(sent: Load) -> None:
    """All requests were answered, and well."""
    assert sent.total > 20
    assert sent.failed == 0, sent


def again(one: Preview, name: str) -> bool:
    """Whether a pod was started again, and has requests."""
    return any(pod.name == name and pod.restarts > 0 and pod.serving for pod in one.shown.pods)


def chaos(story: Story, client: DockerClient) -> None:
    """Kill what there is to kill, one after the other, in the midst of a step: that takes no canary back."""
    one = story.preview
    for track in ("canary", "stable"):
        (killed, *_) = one.pods(track)
        client.api.kill(killed.runs, signal.SIGKILL)
        one.until(partial(again, name=killed.name))
        assert "rollback:" not in story.look()
    os.kill(int((story.project.root / ".trunkline/preview/prometheus.pid").read_text()), signal.SIGKILL)
    one.said_so("prometheus ended with -9")
    assert "rollback:" not in story.look()
    program = story.rollout()
    time.sleep(1)
    program.kill()
    program.communicate()
    assert "rollback:" not in story.look()
