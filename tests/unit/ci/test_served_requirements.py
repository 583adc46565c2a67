"""The libraries in an image are those that everything else was tested with, each held to its hashes."""

from __future__ import annotations

import re

from tests.project import ROOT

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s\\]+) \\$", re.MULTILINE)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_versions_are_those_of_the_constraints_files() -> None:
    known: dict[str, str] = {}
    for file in ("constraints.txt", "constraints-release.txt"):
        pins = [line.split("==") for line in (ROOT / file).read_text().splitlines() if "==" in line]
        known |= {canonical(name): version for name, version in pins}
    text = (ROOT / "ml" / "serve" / "requirements.txt").read_text()
    served = {canonical(found["name"]): found["version"] for found in PIN.finditer(text)}
    assert {name: known.get(name) for name in served} == served
    assert {*(ROOT / "ml" / "serve" / "requirements.in").read_text().split()} <= served.keys()
    assert len(re.findall(r"^[^#\s]", text, re.MULTILINE)) == len(served)
    blocks = re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
