"""Every command line in README and docs is run, in order, in a checked copy of this repository.

Commands stand in blocks marked `sh`. A line that is meant to end with another exit code than 0 says so in its comment:
`# exits 3`. `make test` is run as far as collecting its tests, since it is one of them, in README, and as far as naming
its commands elsewhere; so is `make lint`, since CI runs it before all tests. DVC's cache holds what the models'
trainings come to, as on the machine of somebody who has trained them before: that they are trained where it does not,
other tests show. Documents that begin with `<!-- needs docker -->` are run by tests/e2e/test_docs.py.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.kubernetes import SCHEMAS
from tests.project import LATENCY, ROOT, Project

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
COLLECTED = ROOT / "README.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXITS = re.compile(r"^(.+?) +# exits (\d)$", re.MULTILINE)
NEEDS_DOCKER = "<!-- needs docker -->"
CLONED = "https://example.com/you/trunkline.git"


def script(document: Path) -> str:
    """All blocks of a document as one bash script that stops at the first line with another exit code than told."""
    text = "".join(BLOCK.findall(document.read_text())).replace(*LATENCY)
    text = EXITS.sub(r"code=0; \1 || code=$?; test $code -eq \2", text)
    text = re.sub(r"^make lint\b", "make --dry-run lint", text, flags=re.MULTILINE)
    tested = "PYTEST_ADDOPTS=--collect-only make test" if document == COLLECTED else "make --dry-run test"
    return re.sub(r"^make test\b", tested, text, flags=re.MULTILINE)


def documents(*, need_docker: bool) -> list[Path]:
    """Those that have commands, with docker or without."""
    return [d for d in DOCUMENTS if script(d) and d.read_text().startswith(NEEDS_DOCKER) is need_docker]


def run(document: Path, project: Project, home: Path, trained: Project, **env: str) -> None:
    """Run a document's commands as somebody who has just cloned the project, and had DVC cache what `trained` did."""
    home.mkdir()
    project.run("git", "config", "--global", f"url.file://{project.root}.insteadOf", CLONED, HOME=str(home))
    project.remember(trained)
    (home / "config").write_text(f"[cache]\ndir = {project.root / '.dvc/cache'}\n")  # for the clone that README makes
    if (ROOT / "node_modules").is_dir():  # a copy, since `npm ci` empties what it finds
        shutil.copytree(ROOT / "node_modules", project.root / "node_modules", symlinks=True)
    env = {"HOME": str(home), "DVC_GLOBAL_CONFIG_DIR": str(home), "VENV": sys.prefix, **env}
    env["TRUNKLINE_SCHEMAS"] = str(SCHEMAS)
    fresh = project.run("make", "--question", "setup", code=None, **env).returncode == 0
    assert fresh, "this environment is older than what is pinned, and make would install the copy into it: make setup"
    project.run("bash", "-e", "-x", "-c", script(document), code=0, **env)


@pytest.mark.parametrize("document", documents(need_docker=False), ids=lambda d: d.name)
def test_every_command_works(document: Path, project: Project, trained: Project, tmp_path: Path) -> None:
    run(document, project, tmp_path / "home", trained)


def test_no_command_hides_in_a_block_that_is_not_run() -> None:
    for document in DOCUMENTS:
        for kind, text in ANY_BLOCK.findall(document.read_text()):
            if kind != "sh":
                assert not re.search(r"^\s*\$? ?(trunkline|make|dvc|git|python|pip) ", text, re.MULTILINE), document
