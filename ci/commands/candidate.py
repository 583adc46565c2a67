"""The verdict of one model as the working tree has it, and all that the verdict rests on."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import dvc, files, git, shell
from ci.commands import data, gate
from ci.core.diff import params_diff
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.lineage import all_stages_of, stages_of
from ci.core.records import Change, Latency, Training, Validation, Verdict
from ci.core.scope import scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.commands.baseline import Against
    from ci.core.records import GateResult, Mode, ParamChange


def judge(root: Path, model: str, against: Against, stale: dict[str, Any]) -> Verdict:
    """The verdict of one model; the one already written where nothing that it rests on has changed.

    `stale` is what DVC's status named before the stages ran; a model whose stages stopped has a problem.json.
    """
    base, mode = against.commit, against.mode
    here = root / "artifacts" / model / mode
    failed = (here.parent / "problem.json").is_file()
    built_in = gate.built_in(root, model, mode, stale)
    if not failed and (known := _known(here, _key(root, model, against, built_in))):
        return known
    (here / gate.KEY).unlink(missing_ok=True)
    if not failed:
        require_locked(root, model, against)
        _measure_latency(root, model, mode)
    baseline, rows_before = (None, None) if failed else against.of(model)
    old = against.old_rows(model) if baseline is not None and baseline.status == "compared" else None
    verdict = gate.gate_model(
        root,
        model,
        mode,
        candidate=None,
        baseline_dir=here / "baseline" if baseline is not None and baseline.status == "compared" else None,
        baseline=baseline,
        old_dir=here / "old" if old is not None else None,
        commit=against.head,
        base_commit=base,
        change=_change(root, model, against, rows_before),
        cached=tuple(stage.split("@")[0] for stage in stages_of(model, mode) if stage not in stale),
        built_in=built_in,
    )
    missing = (baseline is not None and baseline.status == "missing" and base) or (old is not None and old.problem)
    if not failed and not missing:  # what is missing may be there next time
        key = _key(root, model, against, built_in)
        files.write_text(here / gate.KEY, f"{key} {files.md5(here / 'verdict.json')}\n")
    return verdict


def _known(here: Path, key: str) -> Verdict | None:
    """The verdict written earlier, if it rests on what `key` digests and was not touched since."""
    path = here / "verdict.json"
    if not path.is_file() or not (here / gate.KEY).is_file():
        return None
    if (here / gate.KEY).read_text() != f"{key} {files.md5(path)}\n":
        return None
    return files.read_record(path, Verdict)


def require_locked(root: Path, model: str, against: Against) -> None:
    """Raise EnvironmentFault when an output is not what dvc.lock says: DVC takes what its cache holds on trust."""
    for stage in all_stages_of(model, against.mode):
        for path, md5 in dvc.outs(against.lock_now, stage).items():
            if not (root / path).is_file() or files.md5(root / path) != md5:
                raise EnvironmentFault(
                    f"{path} is not what {stage} made: DVC's cache is damaged; "
                    "remove .dvc/cache and artifacts, and run again.",
                    file=path,
                )


def _measure_latency(root: Path, model: str, mode: Mode) -> None:
    """Measure single-row latency, unless this very model was measured on this machine before."""
    here = root / "artifacts" / model / mode
    model_hash = files.read_record(here / "training.json", Training).model_hash
    try:
        if files.read_record(here / "latency.json", Latency).model_hash == model_hash:
            return
    except ConfigurationError:  # none yet, or cut off: measured anew
        pass
    shell.run([sys.executable, "-m", "ml.stages.latency", model, mode], cwd=root, capture=False, loud=True)


def _key(root: Path, model: str, against: Against, built_in: Sequence[GateResult]) -> str:
    """A digest of all that a verdict rests on: commits, lock entries, parameters, waivers, our own code, the day."""
    folder = root / "ml" / "models" / model
    parts = [
        str(against.head),
        str(against.commit),
        datetime.now(UTC).date().isoformat(),  # a waiver expires by the day
        repr([against.lock_now.get(stage) for stage in stages_of(model, against.mode)]),
        repr(against.changed),
        repr(built_in),
        _code(),
    ]
    paths = [
        root / "params.yaml",
        folder / "params.yaml",
        *sorted((folder / "waivers").glob("*.yaml")),
        root / "artifacts" / model / against.mode / "latency.json",
    ]
    digest = hashlib.sha256("\0".join(parts).encode())
    for path in paths:
        digest.update(path.read_bytes() if path.is_file() else b"-")
    return digest.hexdigest()


@cache
def _code() -> str:
    """A digest of the code that judges, the same for all models of a run."""
    folder = Path(__file__).parents[1]
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".j2", ".css"})
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def _change(root: Path, model: str, against: Against, rows_before: int | None) -> Change:
    """What the change did to this model's data, gates, parameters and code."""
    base = against.commit
    before = data.pinned_at(root, base, against.changed) if base else {}
    path = f"data/{model}"
    validation = root / "artifacts" / model / "validation.json"
    gates = gate.changed_gates(root, model, against.mode, base) if base else ()
    params = _params_diff(root, model, base) if base else ()
    if gates:  # told by name, not by their place in the list
        params = tuple(param for param in params if ".yaml:gates." not in param.key)
    return Change(
        data_hash_before=before.get(path),
        data_hash_after=dvc.pinned(root).get(path),
        rows_before=rows_before,
        rows_after=files.read_record(validation, Validation).rows if validation.is_file() else None,
        gates=gates,
        params=params,
        files=_concerning(against.changed, model, gate.configured(root, ())),
    )


def _concerning(changed: Sequence[str], model: str, models: Sequence[str]) -> tuple[str, ...]:
    """The changed paths that can matter to `model`, its own first."""
    found = (name for name in changed if model in scope(name, models)[0])
    return tuple(sorted(found, key=lambda name: not name.startswith(f"ml/models/{model}/")))


def _params_diff(root: Path, model: str, base: str) -> tuple[ParamChange, ...]:
    names = ("params.yaml", f"ml/models/{model}/params.yaml")
    return tuple(
        change
        for name in names
        for change in params_diff(
            files.parse_yaml(git.show(root, base, name) or "", name)[0], files.read_yaml(root / name)[0], name
        )
    )
