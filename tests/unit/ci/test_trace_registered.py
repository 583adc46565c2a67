"""`trunkline trace MODEL/NUMBER` of a version that is registered and in no release.yaml: MLflow on SQLite, real git."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ci.adapters import shell
from ci.cli import main
from ci.commands import registering, trace
from ci.core.errors import ConfigurationError
from tests.history import Past
from tests.unit.ci import trained

if TYPE_CHECKING:
    from pathlib import Path

    from ci.core.tracing import Chain


@pytest.fixture
def registered(root: Path) -> Path:
    """A repository whose model `a` was trained and registered, with nothing of it committed."""
    past = Past()
    past.commit("A repository", {".gitignore": "artifacts/\n.trunkline/\n"})
    past.write(root)
    made = trained.make(root)
    assert registering.register(root, "a", made.verdict, made.lineage, None) == "1"
    return root


def pin(root: Path) -> str:
    """Commit dvc.lock."""
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com")
    shell.run([*git, "add", "dvc.lock"], cwd=root)
    shell.run([*git, "commit", "--quiet", "--message", "Trained"], cwd=root)
    return shell.run(["git", "rev-parse", "HEAD"], cwd=root).out.strip()


def missing(chain: Chain) -> dict[str, str]:
    return {link.name: link.words for link in chain.links if link.value is None}


def test_a_number_that_was_not_released_leads_to_its_lock_and_says_what_is_missing(
    registered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (early,) = trace.named(registered, "a/1")
    told = {link.name: link.value for link in early.links}
    assert (early.model, early.version, early.lineage) == ("a", "1", None)
    assert missing(early).keys() == {"commit", "image"}
    assert "its training is not committed" in missing(early)["commit"]

    commit = pin(registered)
    (chain,) = trace.named(registered, "a/1")
    assert chain.lineage is not None
    assert (chain.version, chain.lineage.commit) == ("1", commit)
    assert {link.name: link.value for link in chain.links} == {**told, "commit": commit}
    assert missing(chain) == {"image": "not released: no release.yaml names it"}

    monkeypatch.chdir(registered)
    assert main(["trace", "a/1", "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [chain.model_dump(mode="json")]


def test_an_older_lock_is_found_too(registered: Path) -> None:
    commit = pin(registered)
    trained.make(registered, weight=0.25)
    pin(registered)
    (chain,) = trace.named(registered, "a/1")
    assert chain.lineage is not None
    assert chain.lineage.commit == commit
    (by_hash,) = trace.chains(registered, chain.lineage.model_hash)
    assert by_hash.lineage == chain.lineage


def test_what_the_registry_has_not_is_refused_as_before(registered: Path) -> None:
    for ref in ("a/2", "b/1"):
        with pytest.raises(ConfigurationError, match=rf"nothing here is called '{ref}'.*run `git fetch`\.$"):
            trace.named(registered, ref)


def test_with_the_registry_gone_the_refusal_says_that_it_was_asked(
    registered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(registered)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"nothing here is called 'a/1'.*MLflow at http://127\.0\.0\.1:1 does"):
        trace.named(registered, "a/1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    database = registered / ".trunkline" / "mlflow.db"
    database.unlink()
    with pytest.raises(ConfigurationError, match="nothing here is called 'a/1'"):
        trace.named(registered, "a/1")
    assert not database.exists()
