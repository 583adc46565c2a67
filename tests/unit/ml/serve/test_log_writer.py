from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from ml.serve import log_writer
from ml.serve.log_store import masked

if TYPE_CHECKING:
    from pathlib import Path


def test_it_leaves_after_its_server() -> None:
    """A writer whose server was killed while its store hangs: here the server is a shell that ends at once."""
    code = "import sys; from ml.serve.log_writer import leave_after; leave_after(int(sys.argv[1]), 0.1)"
    command = ["sh", "-c", f'{sys.executable} -c "{code}" $$ & true']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        shell.stdout.read()  # its end: the writer, which had it too, is gone


def test_lines_are_whole_however_they_come() -> None:
    read, write = os.pipe()
    lines = log_writer.Lines(read)
    for part, wanted in ((b"on", []), (b"e\ntwo\nth", [b"one", b"two"]), (b"ree\nfo", [b"three"])):
        os.write(write, part)
        assert lines.read() == wanted
    os.close(write)
    assert lines.read() is None  # what was begun is nothing
    os.close(read)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:secret@bucket/a?token=b", "s3://bucket/a"),
        ("s3://key:a/b@c@bucket/a", "s3://bucket/a"),
        ("/log", "/log"),
        ("at //u:p@h/x and ?y=z", "at //h/x and "),
    ],
)
def test_what_lets_somebody_in_is_not_shown(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_without_a_header_it_has_nothing_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ml.serve.log_writer"]
    done = subprocess.run(command, input=orjson.dumps({"cut": "off"}), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
