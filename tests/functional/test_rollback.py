"""`trunkline rollback` on one machine: the local forge, and a real registry that is asked for images by digest."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from ci.commands import bringing
from ci.core.release import release
from tests import rollouts
from tests.docker.registry import Registry, registry
from tests.rollouts import BRANCH, Stage, version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ci.core.release import Version

    Watched = tuple[float, Mapping[str, str]]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("kept")) as made:
        yield made


@pytest.fixture(scope="module")
def versions(kept: Registry) -> dict[str, Version]:
    """The first three versions, whose images the registry has, and a fourth, whose it has not."""
    where = f"{kept.host}/line"
    made = {key: version(key, rollouts.push(where, key)) for key in "abc"}
    return {**made, "d": version("d", f"{where}/churn@sha256:{'d' * 64}")}


@pytest.fixture
def line(
    watched: tuple[float, Mapping[str, str]], kept: Registry, versions: dict[str, Version], tmp_path: Path
) -> Stage:
    """Production after versions 4, 1 and 2, with 3 as its canary; rollbacks are pushed."""
    start, surroundings = watched
    made = rollouts.stage(tmp_path / "line", start, surroundings, registry=f"{kept.host}/line", how="rollback: push")
    for at, key in enumerate("dab"):
        number = versions[key].version
        made.write(release("churn", "production", stable=versions[key]), f"Release churn {number}", start - 3600 + at)
    beside = release("churn", "production", stable=versions["b"], canary=versions["c"], weight=25)
    made.write(beside, "Release churn 3", start)
    return made


def alone(line: Stage) -> Version:
    """What production runs, with nothing beside it."""
    spec = line.released().spec
    assert spec.canary is None
    return spec.stable


def test_a_canary_is_taken_back_then_nothing_more_without_a_name(line: Stage, versions: dict[str, Version]) -> None:
    came = line.git("rev-parse", "HEAD")
    said = line.run("rollback", "churn", "--reason", "it\nburns ::error::x")
    assert "churn: production: back to version 2" in said
    assert alone(line) == versions["b"]
    assert line.message().splitlines() == [
        "Go back to churn 2 in production",
        "",
        "it burns ::error::x",
        "",
        f"This reverts commit {came}.",
        "",
        "Requested-by: Dana Developer",
        f"Image: {versions['b'].image}",
        f"Model: {'b' * 64}",
        f"Lock: {'b' * 64}",
    ]
    assert line.at("main", "k8s/models/churn/production/card.md") == "# Model card: 2"
    assert line.aliases() == {"champion": "2"}
    before = line.git("--git-dir", ".trunkline/forge.git", "rev-parse", "main")
    said = line.run("rollback", "churn")
    assert "went back from version 3 to 2 already; name the version to go back further (--to)" in said
    assert line.git("--git-dir", ".trunkline/forge.git", "rev-parse", "main") == before


def test_an_earlier_release_is_gone_back_to_by_its_digest_and_on_again(
    line: Stage, versions: dict[str, Version]
) -> None:
    line.run("rollback", "churn", "--to", "1")
    assert alone(line) == versions["a"]
    assert len([words for words in line.message().splitlines() if words.startswith("This reverts commit ")]) == 2
    assert line.aliases() == {"champion": "1"}
    assert "runs version 1 already, and nothing beside it" in line.run("rollback", "churn", "--to", "churn/1")
    line.run("rollback", "churn", "--to", versions["c"].digest)
    assert alone(line) == versions["c"]
    assert line.log()[:3] == [
        "Go back to churn 3 in production",
        "Go back to churn 1 in production",
        "Release churn 3",
    ]


def test_what_cannot_be_gone_back_to_is_refused_with_what_can(line: Stage) -> None:
    said = line.run("rollback", "churn", "--to", "4", code=3)
    assert "of version 4 no more, so nothing could run it; name one that it has with --to: 3, 2, 1." in said
    said = line.run("rollback", "churn", "--to", "33", code=1)
    assert "churn in production never ran a version '33'; did you mean '3'?" in said
    said = line.run("rollback", "churn", "--environment", "staging", code=3)
    assert "churn in staging never ran anything else than version 1" in said
    assert line.log()[0] == "Release churn 3"


def test_by_a_pull_request_where_params_say_so_it_merges_by_itself(line: Stage, versions: dict[str, Version]) -> None:
    path = line.root / "params.yaml"
    path.write_text(path.read_text().replace("rollback: push", "rollback: pull_request"))
    line.git("commit", "--quiet", "--all", "--message", "by pull request")
    line.run("rollback", "churn", "--to", "1", "--reason", "it burns")
    (pull,) = line.pulls("merged")
    assert (pull.branch, pull.title) == (BRANCH, "Go back to churn 1 in production")
    assert "| reason | it burns |" in pull.body
    assert alone(line) == versions["a"]


def test_what_another_wrote_meanwhile_is_not_written_over(line: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*args: object, **named: object) -> str:
        monkeypatch.undo()
        line.run("rollback", "churn", "--to", "1")
        return bring(*args, **named)  # type: ignore[arg-type]

    bring = bringing.bring
    monkeypatch.setattr("ci.commands.rollback.locks.exclusive", lambda *_: nullcontext())  # on another machine
    monkeypatch.setattr("ci.commands.bringing.bring", late)
    said = line.run("rollback", "churn", code=2)
    assert "release.yaml was changed by another while this ran" in said
    assert alone(line).version == "1"
