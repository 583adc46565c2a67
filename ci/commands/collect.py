"""Gathers the records that check jobs left in a folder; from a fork's pull request they are not to be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from ci.core.errors import ConfigurationError
from ci.core.gating.verdict import overall
from ci.core.loglines import quiet
from ci.core.params import NAME
from ci.core.plan import MOST
from ci.core.records import Mode, Outcome, Plan, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LARGEST = 4_000_000  # bytes of one record
WORKFLOWS: dict[Mode, str] = {"smoke": "check", "full": "train"}

R = TypeVar("R", bound=BaseModel)


def verdicts(folder: Path) -> tuple[Verdict, ...]:
    """Every verdict.json under `folder`, by model and mode.

    Raises ConfigurationError for one that is too large, a link, of another shape, or there twice.
    """
    paths = sorted(folder.rglob("verdict.json"))
    if len(paths) > MOST:
        raise refusal(folder, f"holds {len(paths)} verdicts, more than {MOST}; hand over one run's alone.")
    found: dict[tuple[str, str], tuple[Path, Verdict]] = {}
    for path in paths:
        verdict = _read(path, Verdict)
        _require_names([verdict.model], path)
        key = (verdict.model, verdict.mode)
        if key in found:
            first = found[key][0]
            raise refusal(path, f"and {first} are both the {verdict.mode} verdict of '{verdict.model}'; keep one.")
        found[key] = (path, verdict)
    return tuple(found[key][1] for key in sorted(found))


def plan(path: Path) -> Plan:
    """plan.json. Raises ConfigurationError as `verdicts` does."""
    if not path.exists():
        raise refusal(path, "is missing; `trunkline plan` writes it.")
    found = _read(path, Plan)
    if len(found.models) > MOST:
        raise refusal(path, f"plans {len(found.models)} models, more than {MOST}; check fewer at once.")
    _require_names(found.models, path)
    return found


def of_leg(folder: Path, model: str, commit: str | None, mode: Mode = "smoke") -> Verdict:
    """The verdict that a job left of `model` in its artifact under `folder`: `check-<model>`, of full `train-<model>`.

    Raises ConfigurationError as `verdicts` does, and for one that is missing, that the job kept of another model, mode
    or commit, or that says other than its own gates.
    """
    artifact = folder / f"{WORKFLOWS[mode]}-{model}"
    path = artifact / model / mode / "verdict.json"
    if other := next((found for found in sorted(artifact.rglob("verdict.json")) if found != path), None):
        raise refusal(other, f"is not for the {WORKFLOWS[mode]} job of '{model}' to write; look at how it got there.")
    if any(part.is_symlink() for part in (artifact, path.parent.parent, path.parent)):
        raise refusal(path, "lies behind a link; make it anew.")
    if not path.exists():
        raise refusal(path, "is missing: the job stopped before it could judge; its log says why.")
    verdict = _read(path, Verdict)
    for what, found, wanted in (
        ("model", verdict.model, model),
        ("mode", verdict.mode, mode),
        ("commit", verdict.commit, commit),
    ):
        if found != wanted:
            raise refusal(path, f"is of {what} {str(found)[:64]!r}, but {wanted!r} is asked for; run the job again.")
    outcome, blocks = overall(verdict.gates)
    if verdict.problem is not None:  # a stage that stopped is never a pass
        outcome = Outcome.FAIL
    if (verdict.verdict, verdict.blocks) != (outcome, blocks):
        said = f"says '{verdict.verdict}'{' and blocks' if verdict.blocks else ''}, but its gates say"
        raise refusal(path, f"{said} '{outcome}'{' and block' if blocks else ''}; run the job again.")
    return verdict


def content(path: Path) -> bytes:
    """What is in a file that nobody vouches for. Raises ConfigurationError for a link and for more than LARGEST."""
    if path.is_symlink() or not path.is_file():
        raise refusal(path, "is not a plain file; make it anew.")
    if (size := path.stat().st_size) > LARGEST:
        raise refusal(path, f"has {size:,} bytes, and a record at most {LARGEST:,}; make it anew.")
    return path.read_bytes()


def _read(path: Path, kind: type[R]) -> R:
    text = content(path)
    try:
        return kind.model_validate_json(text, strict=True)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step)[:64] for step in first["loc"][:6]) or "the file"
        raise refusal(
            path, f"is not a whole {kind.__name__} record: {where}: {first['msg'][:200]}; make it anew."
        ) from None


def _require_names(models: Sequence[str], path: Path) -> None:
    for model in models:
        if not NAME.fullmatch(model):
            raise refusal(path, f"names a model {model[:64]!r}; a name has up to 64 of a-z, 0-9 and _, a letter first.")


def refusal(path: Path, problem: str) -> ConfigurationError:
    """On one line whatever a record or a file name holds, since a line of a log can be a command to GitHub Actions."""
    return ConfigurationError(quiet(f"{path} {problem}"), file=quiet(str(path)))
