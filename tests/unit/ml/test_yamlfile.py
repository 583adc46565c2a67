"""Whatever is in a YAML file, reading it ends with its keys or with one sentence that names the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ml import yamlfile
from ml.errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = {
    "control character": ("a: 1\nb: \x07\n", 2, r"not YAML \(the character '\\x07' is not allowed"),
    "no such day": ("a: 1\nb: [1, 2026-02-30]\n", 2, r"'2026-02-30' is no timestamp that exists"),
    "no such day as a key": ("a: 1\n2026-02-30: 1\n", 2, "'2026-02-30' is no timestamp"),
    "no such number": ("a: 1\nb: 0x_\n", 2, "'0x_' is no int"),
    "too long a number": ("a: 1\nb: " + "9" * 5000, 2, "99' is no int"),
    "tagged": ("a: 1\nb: !!bool maybe\n", 2, "'maybe' is no bool"),
    "tagged date": ("a: 1\nb: !!timestamp soon\n", 2, "'soon' is no timestamp"),
    "tag of Python": ("a: 1\nb: !!python/object:os.system {}\n", 2, "not YAML"),
    "syntax": ("a: 1\nb: [1\n", 3, "not YAML"),
    "too deep": ("a: " + "[" * 5000, None, "is nested too deeply"),
    "holds itself": ("a: &a [*a]\n", None, "is nested too deeply, or a part of it holds itself"),
    "two documents": ("a: 1\n---\nb: 1\n", 2, "not YAML"),
    "list": ("- a\n", 1, "holds no keys"),
}


@pytest.mark.parametrize(("text", "line", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_in_one_sentence(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StageError, match=words) as caught:
        yamlfile.read(path)
    assert "\n" not in caught.value.message
    assert "None" not in caught.value.message
    assert caught.value.line == line
    assert caught.value.file == str(path)


def test_lines_of_keys_and_items(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: 2026-02-28\nb:\n  - x\n  - y\n")
    data, lines = yamlfile.read(path)
    assert data["b"] == ["x", "y"]
    assert lines == {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4}
