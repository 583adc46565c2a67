"""A model that is rolled out, in a repository made by hand, and a real Prometheus that knows how it went.

The commands run in this process, at a time that a test names, so that a rollout of an hour takes no hour.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ci import cli
from ci.adapters.forge.local import FOLDER, Issue, Local, Record
from ci.adapters.mlflow import Models, Runs
from ci.adapters.rollouts import RECORD, ref_of
from ci.core.canary.records import Rollout
from ci.core.registered import KEY
from ci.core.release import Release, Version, dump, parse, path_of, release
from ci.core.releasing import card_of
from tests.docker.programs import find, free_port, running
from tests.project import IDENTITY
from tests.unit.ci.core.test_releasing import version as version_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REGISTRY = "127.0.0.1:5000/line"
MODEL, ENVIRONMENT = "churn", "production"
BRANCH = f"rollout/{MODEL}/{ENVIRONMENT}"
FIRST, HEALTHY, FAILING, BREAKING = "a", "b", "c", "d"
"""Versions 1 to 4 by the digit that all of their hashes are made of.

The third fails 1 in 20 requests, the fourth as many from a quarter of an hour on.
"""
RATES = {FIRST: 20, HEALTHY: 5, FAILING: 5, BREAKING: 5}  # requests a second
GOOD, BAD = 0.002, 0.05  # shares of errors
BREAKS = 900  # seconds after the start
EVERY = 15  # seconds between two scrapes
BEFORE, AFTER = 300, 3600  # seconds of samples on both sides of START
EDGES = (0.001, 0.01, 0.1)
PARAMS = """\
models: [churn]
defaults:
  seed: 1
  gates: {{confidence: 0.95, resamples: 200, min_rows: 10, on_inconclusive: warn}}
  rollout: {{minutes: 10, requests: 500}}
release:
  registry: {registry}
  base: python@sha256:{base}
  environments:
    staging: {{steps: [100], auto_merge: true}}
    production: {{steps: [5, 25, 50, 100], labels: [production], reviewers: [dana], {how}}}
"""


def version(key: str, image: str | None = None) -> Version:
    """One of the versions, of an image of its own where none is named."""
    made = version_of(key, str("abcdef".index(key) + 1))
    return made.model_copy(update={"image": image}) if image else made


def push(registry: str, key: str) -> str:
    """An image of no layers to speak of, in a registry (HOST:PORT/PATH), by digest."""
    host, _, path = registry.partition("/")
    base, digests = f"http://{host}/v2/{path}/{MODEL}", []
    for content in (json.dumps({"config": {"Labels": {"key": key}}}).encode(), b"layer"):
        digests.append(f"sha256:{hashlib.sha256(content).hexdigest()}")
        where = requests.post(f"{base}/blobs/uploads/", timeout=10).headers["Location"]
        requests.put(where, params={"digest": digests[-1]}, data=content, timeout=10).raise_for_status()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    config, layer = ({"mediaType": "application/octet-stream", "size": 1, "digest": digest} for digest in digests)
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
    done = requests.put(f"{base}/manifests/{key}", json=manifest, headers={"Content-Type": kind}, timeout=10)
    done.raise_for_status()
    return f"{registry}/{MODEL}@{done.headers['Docker-Content-Digest']}"


@contextmanager
def prometheus(folder: Path, start: float) -> Iterator[str]:
    """The address of a Prometheus that has scraped all versions from before `start` on, in seconds of Unix time."""
    program, tool = (find(name, package="prometheus") for name in ("prometheus", "promtool"))
    folder.mkdir()
    (folder / "samples").write_text("\n".join(_samples(start)) + "\n# EOF\n")
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    made = [tool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(folder / "data")]
    subprocess.run(made, check=True, capture_output=True)
    address = f"127.0.0.1:{free_port()}"
    words = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--log.level=error"]
    words += [f"--web.listen-address={address}", "--storage.tsdb.retention.time=1y"]
    with running([program, *words], folder / "log", lambda: _ready(address)):
        yield f"http://{address}"


def _ready(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/-/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _samples(start: float) -> Iterator[str]:
    """What the servers' own metrics come to, as Prometheus keeps them: OpenMetrics with times."""
    times = range(int(start) - BEFORE, int(start) + AFTER, EVERY)
    counted: dict[str, list[str]] = {}
    for key, rate in RATES.items():
        for track in ("stable", "canary"):
            at = {"model": MODEL, "version": key * 12, "environment": ENVIRONMENT, "track": track, "instance": key}
            for time in times:
                total = int(rate * (time - times[0]))
                share = GOOD if key in {FIRST, HEALTHY} else BAD
                bad = int(total * share)
                if key == BREAKING:
                    bad = int(total * GOOD + rate * max(time - start - BREAKS, 0) * (BAD - GOOD))
                good = total - bad
                samples: list[tuple[str, dict[str, str], float]] = [
                    ("trunkline_serve_requests_total", {"route": "infer", "code": "200"}, good),
                    ("trunkline_serve_requests_total", {"route": "infer", "code": "500"}, bad),
                    ("process_start_time_seconds", {}, times[0] - 60),
                ]
                for name in ("trunkline_serve_request_seconds_bucket", "trunkline_serve_score_bucket"):
                    shares = zip((*EDGES, "+Inf"), (0.1, 0.6, 0.95, 1.0), strict=True)
                    samples += [(name, {"le": str(edge)}, int(good * share)) for edge, share in shares]
                for name, labels, value in samples:
                    said = ",".join(f'{label}="{text}"' for label, text in {**at, **labels}.items())
                    counted.setdefault(name, []).append(f"{name}{{{said}}} {value} {time}")
    for name, lines in counted.items():
        family = name.removesuffix("_total").removesuffix("_bucket")
        kind = "histogram" if name.endswith("_bucket") else "counter" if name.endswith("_total") else "gauge"
        yield f"# TYPE {family} {kind}"
        yield from sorted(lines, key=lambda line: line.rpartition(" ")[0].rpartition("}")[0])


@dataclass
class Stage:
    """A checkout and what surrounds it; `start` is when the canary was released, `bare` the folder of its forge."""

    root: Path
    start: float
    surroundings: Mapping[str, str]
    bare: str = FOLDER

    def run(self, *args: str, code: int = 0, at: float = 0, **env: str) -> str:
        """What `trunkline` says, `at` minutes after the start."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            for name, value in {**IDENTITY, **self.surroundings, **env}.items():
                patch.setenv(name, value)
            patch.setattr("ci.commands.rollingout.now", lambda: self.start + 60 * at)
            patch.chdir(self.root)
            done = cli.main(args)
        assert done == code, f"{args} ended with {done}:\n{said.getvalue()}"
        return said.getvalue()

    def git(self, *args: str, at: float | None = None) -> str:
        """What git prints, in the checkout; `at`: when a commit is to be made, in seconds of Unix time."""
        when = {} if at is None else dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"@{at:.0f} +0000")
        done = subprocess.run(
            ["git", *args], cwd=self.root, env={**_clean(), **when}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, made: Release, words: str, at: float) -> str:
        """Commit a release on main, as the merge of its pull request does; the commit."""
        spec = made.spec
        newest = spec.canary or spec.stable
        texts = {
            path_of(spec.model, spec.environment): dump(made),
            card_of(spec.model, spec.environment): f"# Model card: {newest.version}\n",
        }
        for name, text in texts.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", words, at=at)
        return self.git("rev-parse", "HEAD")

    def copy(self, where: Path, how: str) -> Stage:
        """The same elsewhere, with further rules for production."""
        shutil.copytree(self.root, where, symlinks=True)
        made = replace(self, root=where)
        made.rule(how)
        made.git("commit", "--quiet", "--all", "--allow-empty", "--message", "other rules", at=self.start - 80_000)
        return made

    def rule(self, how: str, registry: str = REGISTRY) -> None:
        """Write params.yaml."""
        (self.root / "params.yaml").write_text(PARAMS.format(registry=registry, base="0" * 64, how=how))

    def released(self, ref: str = "main", environment: str = ENVIRONMENT) -> Release:
        """release.yaml at the forge."""
        return parse(self.at(ref, path_of(MODEL, environment)) + "\n", ref)

    def at(self, ref: str, path: str) -> str:
        """A file at the forge."""
        return self.git("--git-dir", self.bare, "show", f"{ref}:{path}")

    def log(self, ref: str = "main") -> list[str]:
        """Subjects of the main line at the forge, newest first."""
        return self.git("--git-dir", self.bare, "log", "--first-parent", "--format=%s", ref).splitlines()

    def message(self, ref: str = "main") -> str:
        """A commit's whole message."""
        return self.git("--git-dir", self.bare, "log", "-1", "--format=%B", ref)

    def record(self) -> Rollout:
        """What is kept of the rollout."""
        return Rollout.model_validate_json(self.at(ref_of(MODEL, ENVIRONMENT), RECORD))

    def has_ended(self) -> bool:
        """Whether the record is closed."""
        return "ended" in self.git("--git-dir", self.bare, "ls-tree", "--name-only", ref_of(MODEL, ENVIRONMENT))

    def has_record(self) -> bool:
        """Whether there is one."""
        return bool(self.git("--git-dir", self.bare, "for-each-ref", ref_of(MODEL, ENVIRONMENT)))

    def pulls(self, state: str = "") -> list[Record]:
        """The forge's pull requests, or those in a state."""
        return [one for one in Local(self.root)._records() if state in {one.state, ""}]

    def pull(self) -> None:
        """Bring the checkout up to what the forge has on main."""
        self.git("pull", "--quiet", "--ff-only", self.bare, "main")

    def issues(self) -> list[Issue]:
        """The forge's issues."""
        paths = sorted((self.root / FOLDER / "issues").glob("*.json"))
        return [Issue.model_validate_json(path.read_bytes()) for path in paths]

    def merge(self, branch: str) -> str:
        """Merge an open pull request as a person does."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in IDENTITY.items():
                patch.setenv(name, value)
            forge = Local(self.root)
            pull = forge.find(branch)
            assert pull is not None
            return forge.merge(pull)

    def close(self, branch: str) -> None:
        """Close an open pull request as a person does, without a merge."""
        (record,) = [one for one in self.pulls("open") if one.branch == branch]
        Local(self.root)._write(record.model_copy(update={"state": "closed"}))

    def refuse_pushes(self) -> None:
        """Guard the default branch: only pull requests get onto it."""
        hook = self.root / self.bare / "hooks" / "update"
        hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ] || [ -e "$GIT_DIR/pulls/000001.json" ]\n')
        hook.chmod(0o755)

    def aliases(self) -> dict[str, str]:
        """What the registry of models calls champion and canary."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", self.surroundings["MLFLOW_TRACKING_URI"])
            return Models(self.root).aliases(MODEL)


def stage(
    where: Path, start: float, surroundings: Mapping[str, str], *, registry: str = REGISTRY, how: str = ""
) -> Stage:
    """A repository that runs version 1 in both environments, before anything else is released."""
    where.mkdir()
    made = Stage(where, start, surroundings)
    made.git("init", "--quiet", "--initial-branch", "main")
    (where / ".gitignore").write_text("/.trunkline/\n")
    made.rule(how, registry)
    (where / "ml/models/churn").mkdir(parents=True)
    (where / "ml/models/churn/params.yaml").write_text("kind: tabular\n")
    first(made)
    return made


def first(made: Stage) -> None:
    """Release version 1 to both environments, a day before."""
    for environment in ("staging", ENVIRONMENT):
        stands = release(MODEL, environment, stable=version(FIRST))
        made.write(stands, f"Release churn 1 to {environment}", made.start - 86_400)


def canary(made: Stage, key: str, weight: int = 5, *, shadow: bool = False, at: float | None = None) -> str:
    """Release a version beside what production runs; the commit."""
    current = parse((made.root / path_of(MODEL, ENVIRONMENT)).read_text(), "release.yaml").spec
    beside = release(MODEL, ENVIRONMENT, stable=current.stable, canary=version(key), weight=weight, shadow=shadow)
    number = version(key).version
    return made.write(beside, f"Release churn {number} to production", made.start if at is None else at)


def register(uri: str, root: Path) -> None:
    """Have all versions in a registry of models, each under its number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        for key in RATES:
            lock = version(key).lineage.lock_hash
            run, _ = Runs(root).of(MODEL, KEY, lock, name=key)
            assert Models(root).create(MODEL, lock, run_id=run, tags={}, words=key).version == version(key).version


def morning() -> float:
    """A start so long ago that all samples after it are in the past: on the minute, in seconds of Unix time."""
    return float(int(datetime.now(UTC).timestamp() - AFTER - 600) // 60 * 60)


def _clean() -> dict[str, Any]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT")} | IDENTITY
