"""A trained version in the registry of models: logged once, registered once, its aliases where git says."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import dvc, files, git, locks, mlflow_model
from ci.adapters.mlflow import Models, Runs
from ci.commands.lineage import LOCK
from ci.core import registered
from ci.core.cards import words
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.lineage import ENVIRONMENT, entries_of, lock_hash
from ci.core.records import Evaluation, Training, Validation

if TYPE_CHECKING:
    from ci.core.lineage import Lineage
    from ci.core.records import Verdict
    from ci.core.registered import Registered
    from ci.core.release import Release

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
RECORDS = ("verdict.json", "training.json", "evaluation.json", "metrics.json")


def register(root: Path, model: str, verdict: Verdict, lineage: Lineage, report: Path | None) -> str:
    """The number of the version made of `lineage`, registered unless it was; the alias `candidate` names the newest.

    What lies under artifacts/<model>/full is what is registered. Raises ConfigurationError where its bytes are not
    those of the verdict and the lineage, or where the gates do not let it pass.
    """
    artifact = root / "artifacts" / model / "full" / "model.onnx"
    if not artifact.is_file():
        raise ConfigurationError(f"{artifact} is missing; `trunkline train {model}` makes it.", file=artifact)
    entries = entries_of(dvc.lock_of(root), model)
    if why := registered.refusal(files.md5(artifact), lock_hash(entries), verdict, lineage):
        raise ConfigurationError(f"{artifact} is not registered: {why}.", file=artifact)
    models = Models(root)
    with locks.exclusive(root / ".trunkline" / f"register-{model}.lock", f"another registration of {model}"):
        known = models.find(model, lineage.lock_hash) or _made(root, models, verdict, lineage, report)
        told = {**registered.judged(verdict), **_commit(root, known, lineage)}
        if not told.items() <= known.tags.items():
            models.tag(model, known.version, told)
        if registered.is_newest(known.version, models.aliases(model).get(registered.CANDIDATE)):
            models.point(model, registered.CANDIDATE, known.version)
    return known.version


def follow(root: Path, model: str, release: Release) -> None:
    """Let the aliases `champion` and `canary` name what a release.yaml of production runs: git is where it is decided.

    A version that the registry lost is told on stderr; its alias is taken away, since it would name another.
    """
    models = Models(root)
    runs = {registered.CHAMPION: release.spec.stable, registered.CANARY: release.spec.canary}
    for alias, version in runs.items():
        known = models.find(model, version.lineage.lock_hash) if version else None
        if version and not known:
            shown = f"{model} {version.lineage.lock_hash[:12]}, the {alias} of {release.spec.environment},"
            print(f"trunkline: {shown} is not in the registry of models any more.", file=sys.stderr)
        models.point(model, alias, known.version if known else None)


def card(root: Path, verdict: Verdict, lineage: Lineage, version: str, image: str) -> str:
    """The model card of a version, from the records under artifacts and the words in the model's params.yaml."""
    from ci.adapters import cards  # noqa: PLC0415 - jinja2 only where a card is due

    model = lineage.model
    here, params = root / "artifacts" / model, f"ml/models/{model}/params.yaml"
    return cards.card(
        lineage,
        verdict,
        files.read_record(here / "validation.json", Validation),
        files.read_record(here / "full" / "evaluation.json", Evaluation),
        words(*files.read_yaml(root / params), file=params),
        version,
        image,
    )


def _made(root: Path, models: Models, verdict: Verdict, lineage: Lineage, report: Path | None) -> Registered:
    """Log the run, unless one was logged to its end, and register its model."""
    model, runs, key = lineage.model, Runs(root), lineage.lock_hash
    run_id, is_logged = runs.of(model, registered.KEY, key, name=f"{model} {key[:12]}")
    tags = registered.tags(lineage, verdict)
    told = f"{model} of commit {lineage.commit[:12]}, model {lineage.model_hash[:12]}. {verdict.summary}"
    try:
        if not is_logged:
            _log(root, runs, run_id, verdict, tags, report)
        made = models.create(model, key, run_id=run_id, tags=tags, words=told)
    except EnvironmentFault:
        if (known := models.find(model, key)) is None:
            raise
        return known  # another machine was faster, and took back the run that this one was at
    if made.run_id:
        runs.keep_only(model, registered.KEY, key, made.run_id)
    return made


def _commit(root: Path, known: Registered, lineage: Lineage) -> dict[str, str]:
    """The commit that pins a version: training registers it before its dvc.lock is committed, under the one before."""
    there = known.tags.get("commit", "")
    if there == lineage.commit or _pins(root, there, lineage) or not _pins(root, lineage.commit, lineage):
        return {}
    return {"commit": lineage.commit}


def _pins(root: Path, commit: str, lineage: Lineage) -> bool:
    if not COMMIT.fullmatch(commit):  # it comes from a server
        return False
    return lock_hash(entries_of(dvc.lock(git.show(root, commit, LOCK)), lineage.model)) == lineage.lock_hash


def _log(root: Path, runs: Runs, run_id: str, verdict: Verdict, tags: dict[str, str], report: Path | None) -> None:
    model = verdict.model
    here = root / "artifacts" / model / "full"
    runs.log(
        run_id,
        params=registered.params(entries_of(dvc.lock_of(root), model)),
        points=registered.points(
            files.read_record(here / "training.json", Training),
            verdict.metrics,
            json.loads((here / "metrics.json").read_text()),
        ),
        tags={**tags, "mode": "full", "mlflow.source.git.commit": tags["commit"]},
    )
    with tempfile.TemporaryDirectory(prefix="trunkline-") as made:
        folder = Path(made)
        for path in (*(here / name for name in RECORDS), here.parent / "validation.json", root / ENVIRONMENT, report):
            if path is not None:
                shutil.copyfile(path, folder / path.name)
        mlflow_model.write(here / "model.onnx", here / "test.parquet", root / ENVIRONMENT, folder / "model")
        runs.keep(run_id, folder)
    runs.finish(run_id)
