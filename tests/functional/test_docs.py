"""Every command line in README and docs is run, in order, in a checked copy of this repository.

Commands are the lines of blocks marked `sh`. A line that is meant to end with another exit code than 0 says so in its
comment: `# exits 3`. `make test` is run as far as collecting its tests, since this is one of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.project import ROOT, Project

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXITS = re.compile(r"#.*\bexits (\d)")
CLONED = "https://example.com/you/trunkline.git"


def commands(document: Path) -> list[str]:
    """The command lines of a document; one that ends in a backslash goes on in the next line."""
    text = "".join(BLOCK.findall(document.read_text()))
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip() and line.strip()[0] != "#"]


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if commands(d)], ids=lambda d: d.name)
def test_every_command_works(document: Path, project: Project, tmp_path: Path) -> None:
    script = ["set -e", f"git config --global url.file://{project.root}.insteadOf {CLONED}"]
    for command in commands(document):
        expected = EXITS.search(command)
        line = re.sub(r"^make test\b", "PYTEST_ADDOPTS=--collect-only make test", command)
        if expected:
            script.append(f"code=0; {{ {line}\n}} || code=$?; test $code -eq {expected[1]}")
        else:
            script.append(line)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("node_modules",):
        if (ROOT / name).is_dir():
            (project.root / name).symlink_to(ROOT / name)
    venv = str(Project(ROOT).root / ".venv")
    project.run("bash", "-xc", "\n".join(script), HOME=str(home), VENV=venv)


def test_no_command_hides_in_a_block_that_is_not_run() -> None:
    for document in DOCUMENTS:
        for kind, text in ANY_BLOCK.findall(document.read_text()):
            if kind != "sh":
                assert not re.search(r"^\s*\$? ?(trunkline|make|dvc|git|python|pip) ", text, re.MULTILINE), document
