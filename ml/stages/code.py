"""Whether dvc.yaml names the code that a stage ran: what it does not name could change and leave an old result."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

from ml import yamlfile
from ml.errors import StageError

PIPELINE = Path("dvc.yaml")


def require_named(stage: str, model: str, root: Path) -> None:
    """Raise StageError when a module of `ml` was loaded that the stage's `deps` name neither by file nor by folder."""
    if not (root / PIPELINE).is_file():
        return
    stages = yamlfile.read(root / PIPELINE)[0].get("stages", {})
    if stage not in stages:
        return
    named = {dep.replace("${item.model}", model) for dep in stages[stage].get("deps", ())}
    for file in sorted(loaded(root)):
        if named.isdisjoint({file, *map(str, PurePosixPath(file).parents)}):
            raise StageError(
                f"stage {stage} of {model} runs {file}, which {PIPELINE} does not name: its changes would go unseen; "
                f"add it to the deps of {stage}, or move what it holds to one of the model's own files",
                file=PIPELINE,
            )


def loaded(root: Path) -> set[str]:
    """The files under ml/ that this process has imported, relative to the repository's root."""
    home = (root / "ml").resolve()
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    paths = (Path(file).resolve() for file in files if file)
    return {f"ml/{path.relative_to(home).as_posix()}" for path in paths if path.is_relative_to(home)}
