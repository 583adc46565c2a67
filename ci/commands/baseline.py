"""What a candidate is compared with: the same stages at another commit, on the candidate's evaluation rows.

That commit has a worktree that shares DVC's cache, so that nothing that was ever computed is computed again; where the
data changed, the baseline's model is scored on the new rows by the baseline's own code.
"""

from __future__ import annotations

import shutil
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from ci.adapters import dvc, files, git, shell
from ci.commands import data
from ci.core.errors import ConfigurationError, EnvironmentFault, TrunklineError
from ci.core.lineage import stages_of
from ci.core.records import Baseline, Evaluation, Mode, Problem, Validation

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from ci.core.records import OldRows

RECORDS = ("predictions.parquet", "evaluation.json", "training.json")


@dataclass
class Against(ABC):
    """A commit that candidates are compared with; its worktree is made when first needed and removed at the end."""

    root: Path
    mode: Mode
    commit: str | None
    _tree: Path | None = field(default=None, init=False)

    kind: ClassVar[Literal["merge_base", "champion"]]
    name: ClassVar[str]

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The paths that the change touches; asked of git once for all models."""
        return tuple(git.changed_paths(self.root, self.commit)) if self.commit else ()

    @cached_property
    def head(self) -> str | None:
        """The commit that is checked out."""
        return git.head(self.root)

    @cached_property
    def lock_before(self) -> dict[str, Any]:
        """The stages of dvc.lock at that commit; parsed once for all models, as is `lock_now`."""
        return dvc.lock(git.show(self.root, self.commit, "dvc.lock") if self.commit else None)

    @cached_property
    def lock_now(self) -> dict[str, Any]:
        """The stages of dvc.lock as it stands: they have run before anything is judged."""
        return dvc.lock_of(self.root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._tree is not None:
            git.remove_worktree(self.root, self._tree)

    def of(self, model: str) -> tuple[Baseline, int | None]:
        """The baseline of one model and its number of raw rows.

        A baseline that was compared has its records under artifacts/<model>/<mode>/baseline.
        """
        if self.commit is None:
            return Baseline(kind=self.kind, status="missing", reason=self._why_none()), None
        try:
            if self._is_unchanged(model):
                words = f"data, code, parameters and model are those of {self.name}"
                return self._told("unchanged", words, self.root / "artifacts" / model / self.mode)
            return self._told("compared", f"the same stages at {self.name}", self._compared(model, self.commit))
        except ConfigurationError as failure:
            words = f"{self.name} {self.commit[:12]} cannot be evaluated: {failure.message}"
            return Baseline(kind=self.kind, status="missing", commit=self.commit, reason=words), None

    def old_rows(self, model: str) -> OldRows | None:  # noqa: ARG002 - the champion alone was judged on rows of its own
        """What the candidate makes of the test rows that this was judged on, where a gate asks for that."""
        return None

    @abstractmethod
    def _why_none(self) -> str:
        """Why there is no commit."""

    @abstractmethod
    def _bring_up(self, tree: Path, model: str) -> None:
        """Put what the model's stages wrote at that commit into its worktree. Raises ConfigurationError."""

    def _told(self, status: Literal["compared", "unchanged"], reason: str, where: Path) -> tuple[Baseline, int]:
        evaluation = files.read_record(where / "evaluation.json", Evaluation)
        validation = where / "validation.json" if status == "compared" else where.parent / "validation.json"
        told = Baseline(
            kind=self.kind,
            status=status,
            commit=self.commit,
            reason=reason,
            model_hash=evaluation.model_hash,
        )
        return told, files.read_record(validation, Validation).rows

    def _is_unchanged(self, model: str) -> bool:
        """Whether every stage of the model has the very same inputs and outputs in that commit's dvc.lock."""
        before, now = self.lock_before, self.lock_now
        return all(name in now and before.get(name) == now[name] for name in stages_of(model, self.mode))

    def _compared(self, model: str, commit: str) -> Path:
        """Make the baseline's records, unless they were made before, whole (`key` is written last)."""
        here = self.root / "artifacts" / model / self.mode
        kept = here / "baseline"
        key = f"{commit} {files.md5(here / 'test.parquet')}\n"
        if (kept / "key").is_file() and (kept / "key").read_text() == key and _is_whole(kept):
            return kept
        tree = self.worktree(commit)
        made = tree / "artifacts" / model
        self._bring_up(tree, model)
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        shutil.copyfile(made / "validation.json", kept / "validation.json")
        self._score_on_new_rows(tree, model)
        for name in RECORDS:
            shutil.copyfile(made / self.mode / name, kept / name)
        files.write_text(kept / "key", key)
        return kept

    def worktree(self, commit: str) -> Path:
        """The commit, in a worktree that shares DVC's cache."""
        if self._tree is None:
            tree = self.root / ".trunkline" / "baseline"
            git.add_worktree(self.root, tree, commit)
            dvc.share_cache(self.root, tree)
            self._tree = tree
        return self._tree

    def _score_on_new_rows(self, tree: Path, model: str) -> None:
        """Where the candidate is judged on other rows, score the baseline's model on those."""
        ours, theirs = self.root / "artifacts" / model, tree / "artifacts" / model
        before = files.read_record(theirs / self.mode / "evaluation.json", Evaluation)
        after = files.read_record(ours / self.mode / "evaluation.json", Evaluation)
        if before.rows_hash == after.rows_hash:
            return
        data.ensure(self.root, (model,))
        shutil.rmtree(tree / "data" / model, ignore_errors=True)
        shutil.copytree(self.root / "data" / model, tree / "data" / model)
        (theirs / "validation.json").unlink()  # DVC may have linked it to its cache: never write through
        shutil.copyfile(ours / "validation.json", theirs / "validation.json")
        for stage in ("prepare", "evaluate"):
            done = shell.run(
                [sys.executable, "-m", f"ml.stages.{stage}", model, self.mode], cwd=tree, loud=True, check=False
            )
            if done.code != 0:
                raise failed(theirs / "problem.json", "its code cannot read the new rows")


@dataclass
class MergeBase(Against):
    """The merge base of a change: what is not in DVC's cache of it is run."""

    kind = "merge_base"
    name = "the merge base"

    def _why_none(self) -> str:
        if git.is_shallow(self.root):
            return "this clone is shallow and the merge base is not in it; fetch all of history (`fetch-depth: 0`)"
        if git.parent(self.root):
            return "HEAD has no ancestor in common with what it would be merged into"
        return "this is the first commit: there is nothing to compare with yet"

    def _bring_up(self, tree: Path, model: str) -> None:
        """Run what DVC's cache does not have of the model's stages at the merge base."""
        if not (tree / "ml" / "models" / model).is_dir():
            raise ConfigurationError(f"{model} is new in this change")
        data.ensure(tree, (model,))
        if not dvc.repro(tree, stages_of(model, self.mode)):
            raise failed(tree / "artifacts" / model / "problem.json", "its own stages fail")


def failed(problem: Path, words: str) -> TrunklineError:
    """What a stage of a baseline said when it stopped; one that said nothing was killed, and is to be run again."""
    if not problem.is_file():
        return EnvironmentFault(f"a stage of the baseline ended without a word ({words}); run again.")
    found = files.read_record(problem, Problem)
    kind = EnvironmentFault if found.exit_code == EnvironmentFault.exit_code else ConfigurationError
    return kind(f"{words}: {found.message}")


def _is_whole(kept: Path) -> bool:
    """Whether the predictions are those that the record beside them was made of."""
    evaluation = files.read_record(kept / "evaluation.json", Evaluation)
    return files.md5(kept / "predictions.parquet") == evaluation.predictions_hash
