"""A repository with a past of releases, written in one go by `git fast-import`."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ci.core.forge import Approval
from ci.core.lineage import Lineage
from ci.core.release import Release, Version, dump, path_of, release

if TYPE_CHECKING:
    from pathlib import Path

DANA = "Dana Developer <dana@example.com>"
BOT = ("-c", "user.name=bot", "-c", "user.email=bot@example.com")
START = 1_790_000_000


def hex_of(*parts: object, digits: int = 64) -> str:
    """Hex digits that stand for `parts`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:digits]


def version(model: str, number: int, commit: str = "") -> Version:
    """A version whose hashes are all its own."""
    hashes = {name: hex_of(model, number, name) for name in ("params_hash", "code_hash", "lock_hash")}
    files = ("data_hash", "environment_hash", "model_hash", "predictions_hash")
    hashes |= {name: hex_of(model, number, name, digits=32) for name in files}
    lineage = Lineage(model=model, commit=commit or hex_of(model, number, "commit", digits=40), **hashes)
    digest = hex_of(model, number, "image")
    return Version(image=f"127.0.0.1:5000/trunkline/{model}@sha256:{digest}", version=str(number), lineage=lineage)


@dataclass
class Past:
    """Commits to be written, one minute after another; `write` brings them into a repository's branch `main`."""

    stream: list[str] = field(default_factory=list)
    count: int = 0

    def commit(self, message: str, files: dict[str, str], *, author: str = DANA) -> int:
        """A commit on top of the last; returns its mark."""
        self.count += 1
        when = f"{START + 60 * self.count} +0000"
        lines = [f"commit refs/heads/main\nmark :{self.count}\nauthor {author} {when}\ncommitter {author} {when}"]
        lines.append(_data(message))
        lines += [f"M 100644 inline {path}\n{_data(text)}" for path, text in files.items()]
        self.stream.append("\n".join(lines) + "\n")
        return self.count

    def release(self, made: Release, message: str = "") -> int:
        """A commit of one release.yaml."""
        spec = made.spec
        return self.commit(message or f"Release {spec.model}", {path_of(spec.model, spec.environment): dump(made)})

    def write(self, root: Path) -> list[str]:
        """The hashes of all commits, oldest first; the working tree has the last one's files."""
        root.mkdir(parents=True, exist_ok=True)
        _git(root, "init", "--quiet", "--initial-branch", "main")
        _git(root, "fast-import", "--quiet", "--export-marks=.git/marks", feed="".join(self.stream))
        _git(root, "reset", "--quiet", "--hard", "main")
        marks = dict(line.split() for line in (root / ".git" / "marks").read_text().splitlines())
        return [marks[f":{mark}"] for mark in range(1, self.count + 1)]


def note(root: Path, commit: str, approval: Approval) -> None:
    """Keep an approval as Trunkline does."""
    text = json.dumps(approval.model_dump(mode="json"))
    _git(root, *BOT, "notes", "--ref=trunkline", "add", "-m", text, commit)


def rollout(past: Past, model: str, number: int, stable: Version | None) -> Version:
    """A version's way: staging, then production as canary at 5 %, then stable."""
    new = version(model, number)
    past.release(release(model, "staging", stable=new))
    if stable is not None:
        past.release(release(model, "production", stable=stable, canary=new, weight=5))
    past.release(release(model, "production", stable=new))
    return new


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def _git(root: Path, *args: str, feed: str | None = None) -> None:
    subprocess.run(["git", *args], cwd=root, input=feed, text=True, check=True, capture_output=True)
