"""`trunkline gate`: judge what the stages wrote, write verdict.json and print it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ci.adapters import dvc, files, git, locks
from ci.commands.table import print_verdicts
from ci.core import training
from ci.core.canary import rules
from ci.core.drift import rules as drift
from ci.core.errors import ConfigurationError, did_you_mean
from ci.core.gating.verdict import conclude, exit_code
from ci.core.params import Root, parse_root, require_files
from ci.core.records import Baseline, Change, Mode, Verdict, Waiver

__all__ = ["configured", "exit_code", "gate_model", "register", "run"]

KEY = "verdict.key"  # beside a verdict that `check` wrote: the digest of all that it rests on

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ci.core.gating.gateparams import Gate
    from ci.core.records import GateResult, Task


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--mode", choices=("smoke", "full"), default="smoke")
    parser.add_argument("--candidate", type=Path, metavar="DIR", help="where the candidate's records are")
    parser.add_argument("--baseline", type=Path, metavar="DIR", help="where the baseline's records are")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judge one model against the baseline at hand, print the table; the exit code is the verdict's."""
    root, mode = Path(), args.mode  # relative, so that messages name files as people and annotations do
    (model,) = configured(root, [args.model])
    for directory in (args.candidate, args.baseline):
        if directory is not None and not directory.is_dir():
            raise ConfigurationError(f"{directory} is not a folder; name one that holds a predictions.parquet.")
    baseline_dir = args.baseline or root / "artifacts" / model / mode / "baseline"
    with locks.check(root):
        (root / "artifacts" / model / mode / KEY).unlink(missing_ok=True)
        verdict = gate_model(
            root,
            model,
            mode,
            candidate=args.candidate,
            baseline_dir=baseline_dir if baseline_dir.is_dir() else None,
            baseline=_at_hand(root, model, mode, baseline_dir),
            old_dir=root / "artifacts" / model / mode / "old" if args.baseline is None else None,
            commit=git.head(root),
            base_commit=None,
            change=Change(),
            cached=(),
            built_in=built_in(root, model, mode),
        )
    print_verdicts([verdict])
    return exit_code([verdict])


def configured(root: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The models of params.yaml, or those of them that are named. Raises ConfigurationError."""
    known = root_params(root).models
    for name in names:
        if name not in known:
            raise ConfigurationError(f"there is no model '{name}' in params.yaml; {did_you_mean(name, known)}")
    return tuple(dict.fromkeys(names or known))


def gate_model(
    root: Path,
    model: str,
    mode: Mode,
    *,
    candidate: Path | None,
    baseline_dir: Path | None,
    baseline: Baseline | None,
    old_dir: Path | None = None,
    commit: str | None,
    base_commit: str | None,
    change: Change,
    cached: tuple[str, ...],
    built_in: tuple[GateResult, ...] = (),
) -> Verdict:
    """Judge a model from its records and write artifacts/<model>/<mode>/verdict.json.

    `built_in` are results that do not come from its records.

    Where a stage stopped (problem.json), what it and earlier stages wrote is judged, and the verdict fails.
    Raises ConfigurationError for wrong parameters and waivers, and for records that are missing without a problem.
    """
    # numpy and polars stay out of a check in which nothing has to be judged again.
    from ci.commands import evidence  # noqa: PLC0415
    from ci.core.gating import gates, waivers  # noqa: PLC0415
    from ci.core.statistics import curves  # noqa: PLC0415

    params = root_params(root)
    task, declared = gates_of(root, model, params)
    _require_features(root, model, (candidate or root / "artifacts" / model / mode) / "model.onnx")
    aside = _waivers(root, model, declared)
    here = root / "artifacts" / model
    problem = evidence.problem(here)
    words, days = gates.columns(declared, mode)
    seen = evidence.gather(here, candidate or here / mode, mode, task, words=words, days=days)
    seen = evidence.beside(seen, baseline, baseline_dir)
    seen = evidence.on_old_rows(seen, old_dir, words=words, days=days)
    judged, metrics = gates.judge(declared, seen, params)
    results = (*built_in, *judged)
    waivers.require_slices(aside, results)
    verdict = conclude(
        model,
        seen,
        waivers.apply(results, aside),
        metrics,
        curves=curves.curves(seen),
        problem=problem,
        waivers=aside,
        commit=commit,
        base_commit=base_commit,
        change=change,
        seconds=evidence.seconds(here / mode),
        cached=cached,
    )
    files.write_record(here / mode / "verdict.json", verdict)
    return verdict


def built_in(root: Path, model: str, mode: Mode, stale: Mapping[str, Any] | None = None) -> tuple[GateResult, ...]:
    """The gate that the model's full training is in dvc.lock, where params.yaml asks for that before a merge.

    `stale` is DVC's status, where it was asked for before.
    """
    if mode != "smoke" or not root_params(root).training.before_merge:
        return ()
    now = dvc.stale(root) if stale is None else stale
    return (training.gate(model, training.behind(model, dvc.lock_of(root), now, dvc.pinned(root))),)


def root_params(root: Path) -> Root:
    """The root params.yaml, with a folder for every model. Raises ConfigurationError."""
    params = parse_root(*files.read_yaml(root / "params.yaml"))
    folders = (path for path in (root / "ml" / "models").glob("*") if path.is_dir())
    require_files(params.models, {path.name: {file.name for file in path.iterdir()} for path in folders})
    return params


def gates_of(root: Path, model: str, params: Root) -> tuple[Task, tuple[Gate, ...]]:
    """A model's task and its gates, by its params.yaml, all of which is held to be right. Raises ConfigurationError."""
    from ci.core import cards  # noqa: PLC0415 - numpy stays out of an unchanged check
    from ci.core.gating.gateparams import parse_model  # noqa: PLC0415 - as above
    from ci.core.strict import Place  # noqa: PLC0415 - as above

    path = root / "ml" / "models" / model / "params.yaml"
    (raw, line_of), file = files.read_yaml(path), _shown(path, root)
    found = parse_model(raw, line_of, params.defaults.gates, file=file)
    if params.release is not None or cards.KEY in raw:  # what its release will ask for, before it is merged
        cards.words(raw, line_of, file=file)
    place = Place(file, line_of)
    rules.parse_rules(params.defaults.rollout, raw.get(rules.KEY), place.at(rules.KEY))  # likewise
    drift.parse_rules(params.defaults.drift, raw.get(drift.KEY), place.at(drift.KEY))
    return found


def _require_features(root: Path, model: str, onnx: Path) -> None:
    """Refuse a `serving` section that names what is no feature, before it is merged."""
    from ci.adapters.onnx_model import OnnxModel  # noqa: PLC0415 - as above
    from ci.core import serving  # noqa: PLC0415 - as above
    from ci.core.strict import Place  # noqa: PLC0415 - as above

    path = root / "ml" / "models" / model / "params.yaml"
    raw, line_of = files.read_yaml(path)
    place = Place(_shown(path, root), line_of).at(serving.KEY)
    served = serving.parse_served(raw.get(serving.KEY), place)
    if served.sensitive and onnx.is_file():
        serving.require_features(served, OnnxModel(onnx.read_bytes(), str(onnx)).columns, place)


def changed_gates(root: Path, model: str, mode: Mode, base: str) -> tuple[str, ...]:
    """The gates that `base` has and the working tree has no more, or otherwise; none where `base` cannot be read."""
    from ci.core.gating.diff import gates_diff  # noqa: PLC0415 - as above
    from ci.core.gating.gateparams import parse_model  # noqa: PLC0415 - as above

    defaults, theirs = (git.show(root, base, name) for name in ("params.yaml", f"ml/models/{model}/params.yaml"))
    if defaults is None or theirs is None:
        return ()
    try:
        before = parse_model(
            *files.parse_yaml(theirs, base), parse_root(*files.parse_yaml(defaults, base)).defaults.gates, file=base
        )
    except ConfigurationError:  # an older form of the file: what it asked for is not known
        return ()
    return gates_diff(before[1], gates_of(root, model, root_params(root))[1], mode)


def _waivers(root: Path, model: str, declared: Sequence[Gate]) -> tuple[Waiver, ...]:
    from ci.core.gating.waivers import parse_waiver  # noqa: PLC0415 - as above

    found = []
    for path in sorted((root / "ml" / "models" / model / "waivers").glob("*")):
        if path.suffix == ".yaml":
            today = datetime.now(UTC).date()
            shown = _shown(path, root)
            found.append(parse_waiver(*files.read_yaml(path), file=shown, gates=declared, today=today))
        elif not path.name.startswith("."):
            raise ConfigurationError(f"{path} is no waiver: a waiver is a file named *.yaml; rename or move it.")
    return tuple(found)


def _at_hand(root: Path, model: str, mode: Mode, directory: Path) -> Baseline:
    """The baseline of a folder that a person named or that `trunkline check` left, or why there is none.

    It stands for whichever baseline the gates name.
    """
    _, declared = gates_of(root, model, root_params(root))
    kinds = {gate.baseline for gate in declared if gate.baseline and mode in gate.modes}
    kind: Literal["merge_base", "champion"] = "champion" if kinds == {"champion"} else "merge_base"
    shown = _shown(directory, root)
    if not directory.is_dir():
        words = f"there is no {shown}; `trunkline check` makes it, --baseline names another"
        return Baseline(kind=kind, status="missing", reason=words)
    return Baseline(kind=kind, status="compared", reason=f"the records in {shown}")


def _shown(path: Path, root: Path) -> str:
    """A path as people and annotations know it: from the root of the repository."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
