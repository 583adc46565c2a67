"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

import pytest

from ml.errors import StageError
from ml.files import md5, read_json, replacing, write_bytes, write_json

if TYPE_CHECKING:
    from pathlib import Path


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_bytes(path, b"old")

    def half() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        half()
    assert [each.name for each in tmp_path.iterdir()] == ["record.json"]
    assert path.read_bytes() == b"old"


def test_a_number_that_json_cannot_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    with pytest.raises(StageError, match=r"metrics\.json: a number in it is NaN or infinite"):
        write_json(path, {"auc": float("nan")})
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "words"), [(None, "is missing; run"), (b'{"rows": 1', "is not JSON"), (b"[1]", "holds a list")]
)
def test_a_record_that_cannot_be_read(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "training.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StageError, match=words):
        read_json(path)


def test_md5_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"trunkline")
    assert md5(path) == hashlib.md5(b"trunkline").hexdigest()
