"""A project whose model was trained in full and merged, and what a release of it leaves in each place."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ci.adapters.forge.local import FOLDER, Local, Record
from ci.adapters.mlflow import Models
from ci.core.release import Release, parse, path_of
from tests.project import IDENTITY, Project, fresh

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ci.core.registered import Registered

REGISTRY = "127.0.0.1:5000/trunkline"  # as params.yaml has it


@dataclass(frozen=True)
class Line:
    """A checkout of main and where images go: `registry` is HOST:PORT/PATH, `outside` names docker and the base."""

    project: Project
    registry: str
    outside: Mapping[str, str] = field(default_factory=dict)

    def release(self, *args: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `trunkline release`."""
        return self.project.trunkline("release", *args, code=code, **{**self.outside, **env})

    def copy(self, where: Path, to: str | None = None) -> Line:
        """The same, elsewhere; with another path in the registry where `to` names one."""
        made = replace(self, project=self.project.copy(where))
        return made.moved(to) if to else made

    def moved(self, to: str) -> Line:
        """The same with images that go to another path of the registry, committed."""
        registry = f"{self.registry.partition('/')[0]}/{to}"
        self.project.edit("params.yaml", self.registry, registry)
        self.project.commit("another place for images")
        return replace(self, registry=registry)

    def pulls(self, state: str = "open") -> dict[str, Record]:
        """The local forge's pull requests by branch. Fails where a branch has two."""
        paths = sorted((self.project.root / FOLDER / "pulls").glob("*.json"))
        told = Local(self.project.root)._records() if paths else []
        found = [one for one in told if one.state == state]
        by_branch = {one.branch: one for one in found}
        assert len(by_branch) == len(found), [(one.number, one.branch) for one in found]
        return by_branch

    def merge(self, branch: str) -> str:
        """Merge the open pull request of a branch, as a person does, and take the result in."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in IDENTITY.items():
                patch.setenv(name, value)
            merged = Local(self.project.root).merge(self.pulls()[branch].pull())
        self.pull()
        return merged

    def pull(self) -> None:
        """Bring the checkout up to what the forge has on main."""
        self.project.git("pull", "--quiet", "--ff-only", FOLDER, "main")

    def at(self, ref: str, path: str) -> str:
        """A file on a branch of the forge."""
        return self.project.git("--git-dir", FOLDER, "show", f"{ref}:{path}")

    def released(self, ref: str, environment: str, model: str = "churn") -> Release:
        """release.yaml on a branch of the forge."""
        return parse(self.at(ref, path_of(model, environment)) + "\n", environment)

    def versions(self, model: str = "churn") -> tuple[Registered, ...]:
        """What the registry of models has."""
        return Models(self.project.root).versions(model)

    def aliases(self, model: str = "churn") -> dict[str, str]:
        """The aliases in the registry of models."""
        return Models(self.project.root).aliases(model)

    def runs(self) -> list[str]:
        """The runs that MLflow keeps of churn, all that were not deleted."""
        models = Models(self.project.root)
        experiment = models.client.get_experiment_by_name("churn")
        return (
            []
            if experiment is None
            else [run.info.run_id for run in models.client.search_runs([experiment.experiment_id])]
        )

    def images(self, model: str = "churn") -> dict[str, str]:
        """The registry's images of a model: digest by tag."""
        host, _, path = self.registry.partition("/")
        base = f"http://{host}/v2/{path}/{model}"
        tags = requests.get(f"{base}/tags/list", timeout=10).json().get("tags") or []
        kind = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        return {
            tag: requests.head(f"{base}/manifests/{tag}", headers=kind, timeout=10).headers["Docker-Content-Digest"]
            for tag in tags
        }

    def notes(self) -> dict[str, Any]:
        """What git keeps of who agreed, at the forge: approval by commit."""
        git = ("--git-dir", FOLDER)
        listed = self.project.run("git", *git, "notes", "--ref", "trunkline", "list", code=None)
        commits = [line.split()[1] for line in listed.stdout.splitlines()]
        return {one: json.loads(self.project.git(*git, "notes", "--ref", "trunkline", "show", one)) for one in commits}


def path_for(folder: Path) -> str:
    """A path in a registry that no other test writes to."""
    return f"of-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def merged(where: Path, registry: str, outside: Mapping[str, str], trained: Project) -> Line:
    """A repository with the one model churn, trained in full as `trained` was, pushed and merged."""
    project = fresh(where)
    project.edit("params.yaml", "  - fraud\n", "")
    project.edit("params.yaml", REGISTRY, registry)
    project.commit("one model, and a registry that is there")
    project.remember(trained)
    train(project)
    return Line(project, registry, outside)


def train(project: Project, model: str = "churn") -> str:
    """Train a model in full and commit what dvc.lock has of it."""
    project.trunkline("train", model)
    return project.commit(f"train {model} in full")


def remote(project: Project, where: Path) -> None:
    """Let DVC's remote be where any machine reaches it, not in a checkout that goes with its job."""
    project.edit(".dvc/config", "../.trunkline/remote", str(where / "remote"))
    project.commit("a remote that any machine reaches")


def slight(project: Project, *lines: str) -> None:
    """Make the image one of a few files, which is fast to build: what is tested is not what is in it."""
    first = ["ARG BASE", "FROM ${BASE} AS build", "COPY ml /out/app/ml", *lines]
    (project.root / "ml" / "serve" / "Dockerfile").write_text(
        "\n".join([*first, "FROM ${BASE}", "COPY --from=build /out/ /", ""])
    )


def change(project: Project) -> None:
    """Another churn, much like the one before."""
    project.edit("ml/models/churn/params.yaml", "learning_rate: 0.08", "learning_rate: 0.09")


def add_model(project: Project, name: str) -> None:
    """A second model, which is churn by another name."""
    source, target = project.root / "ml/models/churn", project.root / "ml/models" / name
    target.mkdir()
    for path in source.glob("*.*"):
        (target / path.name).write_text(path.read_text().replace("data/churn", f"data/{name}"))
    pin = (project.root / "data.dvc").read_text()
    churn = pin.partition("- path: data/churn\n")[2].partition("- path:")[0]
    (project.root / "data.dvc").write_text(f"{pin}- path: data/{name}\n{churn}")
    project.edit("params.yaml", "models:\n", f"models:\n  - {name}\n")
