"""The pattern of a share of the units: exactly that share, the smaller within the larger, in any proxy's dialect."""

from __future__ import annotations

import json
import re
import subprocess
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from ci.core.units import DIGITS, NOBODY, pattern
from tests.docker.programs import find

if TYPE_CHECKING:
    from pathlib import Path

PREFIXES = [f"{number:0{DIGITS}x}" for number in range(16**DIGITS)]
PLAIN = re.compile(r"\^(\((?P<ways>[0-9a-f\[\]|-]+)\)|\[[0-9a-f-]+\])?\[0-9a-f\][*+]\$")
"""Literals, classes of digits, one group of alternatives, both ends: what every dialect reads alike."""


def taken(weight: int) -> set[str]:
    made = re.compile(pattern(weight))
    return {prefix for prefix in PREFIXES if made.search(f"{prefix}{'0f' * 30}")}


def test_a_share_takes_that_share_of_all_hashes_and_keeps_those_that_a_smaller_one_took() -> None:
    before: set[str] = set()
    for weight in range(101):
        now = taken(weight)
        assert 100 * len(now) / len(PREFIXES) == pytest.approx(weight, abs=100 / 16**DIGITS / 2)
        assert before <= now
        before = now


def test_the_whole_value_matches_or_nothing_of_it() -> None:
    for weight in (0, 1, 5, 25, 50, 99, 100):
        made = re.compile(pattern(weight))
        for number in range(300):
            unit = sha256(str(number).encode()).hexdigest()
            assert bool(made.search(unit)) == bool(made.fullmatch(unit))
            for other in (f"-{unit}", f"{unit} ", unit[:3] + "G", f"{unit}, {unit}"):
                assert not made.search(other)
    assert not re.search(NOBODY, "")


@pytest.mark.parametrize("weight", range(1, 101))
def test_every_dialect_reads_it_alike(weight: int) -> None:
    assert PLAIN.fullmatch(pattern(weight))


def test_go_reads_it(tmp_path: Path) -> None:
    """Prometheus is written in Go, and has its regular expressions by the library that most gateways have them by."""
    rules = [{"regex": pattern(weight), "target_label": "x", "replacement": "x"} for weight in range(101)]
    (tmp_path / "prometheus.yml").write_text(
        json.dumps({"scrape_configs": [{"job_name": "x", "relabel_configs": rules}]})
    )
    tool = find("promtool", package="prometheus")
    subprocess.run([tool, "check", "config", str(tmp_path / "prometheus.yml")], check=True, capture_output=True)


def test_a_quarter_reads_as_one() -> None:
    assert pattern(25) == "^([0-3])[0-9a-f]*$"
