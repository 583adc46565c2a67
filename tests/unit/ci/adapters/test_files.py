"""Records and YAML: strict when read, whole when written."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from ci.adapters import files
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.records import Latency

if TYPE_CHECKING:
    from pathlib import Path

RECORD = Latency(model="fraud", mode="smoke", model_hash="0" * 32, runs=10, p50_ms=0.1, p99_ms=0.2)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    files.write_record(tmp_path / "deep" / "latency.json", RECORD)
    assert files.read_record(tmp_path / "deep" / "latency.json", Latency) == RECORD
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["latency.json"]


def test_a_record_cut_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    path.write_text(RECORD.model_dump_json()[:40])
    with pytest.raises(ConfigurationError, match=r"latency\.json is not a whole Latency record"):
        files.read_record(path, Latency)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    path.write_text(RECORD.model_dump_json()[:-1] + ',"p100_ms": 1}')
    with pytest.raises(ConfigurationError, match="p100_ms: Extra inputs"):
        files.read_record(path, Latency)


def test_a_missing_record_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="run `trunkline check` to make it"):
        files.read_record(tmp_path / "latency.json", Latency)


def test_a_full_disk_leaves_the_old_record_whole_and_no_part_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "latency.json"
    files.write_record(path, RECORD)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault, match="No space left on device; free some space") as fault:
        files.write_record(path, RECORD.model_copy(update={"runs": 11}))
    assert fault.value.exit_code == 2
    assert files.read_record(path, Latency) == RECORD
    assert list(tmp_path.iterdir()) == [path]


def test_yaml_knows_the_line_of_a_key(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("kind: tabular\ngates:\n  - metric: roc_auc\n    min: 0.5\n")
    data, line_of = files.read_yaml(path)
    assert data["gates"][0]["min"] == 0.5
    assert line_of(("gates", 0, "min")) == 4
    assert line_of(("gates", 7)) is None


@pytest.mark.parametrize(
    ("text", "sentence", "line"),
    [
        ("a: 1\nb: [1, 2\n", "params.yaml:3: not YAML", 3),
        ("a: 1\nb: 2\na: 3\n", "params.yaml:3: 'a' is given twice, first in line 1; keep one", 3),
    ],
)
def test_broken_yaml_is_told_with_its_line(tmp_path: Path, text: str, sentence: str, line: int) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=sentence) as wrong:
        files.read_yaml(path)
    assert wrong.value.line == line


def test_missing_and_binary_yaml(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"params.yaml is missing"):
        files.read_yaml(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        files.read_yaml(tmp_path / "params.yaml")
