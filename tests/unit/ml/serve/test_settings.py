"""What the environment says is taken as it is, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.serve.errors import CannotStart
from ml.serve.settings import LogSettings, Settings


def test_an_empty_environment_is_that_of_the_image() -> None:
    assert Settings.of({}) == Settings.of({"PORT": "", "MODEL_DIR": ""})
    assert Settings.of({}).folder == Path("/app/model")
    assert Settings.of({}).port == 8080


def test_what_is_set_is_taken() -> None:
    found = Settings.of({"MODEL_DIR": "m", "HOST": "::", "PORT": "1", "SERVE_THREADS": "4", "SERVE_QUEUE": "0"})
    assert found == Settings(Path("m"), "::", 1, 4, 0, Settings.of({}).grace_seconds, None)


def test_the_log_is_as_it_is_set() -> None:
    log = {"SERVE_LOG": "/log", "SERVE_LOG_SHARE": "0.25", "SERVE_LOG_MIB": "8", "SERVE_TRACK": "canary"}
    assert Settings.of(log).log == LogSettings("/log", 0.25, 60, 8 * 2**20, "canary", has_key=False)
    keyed = Settings.of(log | {"SERVE_LOG_KEY": "k" * 32}).log
    assert keyed is not None
    assert keyed.has_key


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SERVE_LOG_SHARE", "10%", "SERVE_LOG_SHARE is '10%'; expected a number from 0 to 1"),
        ("SERVE_LOG_SHARE", "nan", "SERVE_LOG_SHARE is 'nan'; expected a number from 0 to 1"),
        ("SERVE_LOG_KEY", "short", "SERVE_LOG_KEY is shorter than 32 characters"),
    ],
)
def test_a_log_that_cannot_be(name: str, value: str, words: str) -> None:
    with pytest.raises(CannotStart) as caught:
        Settings.of({"SERVE_LOG": "/log", name: value})
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "http", "PORT is 'http'; expected a whole number from 1 to 65535"),
        ("PORT", "65536", "PORT is '65536'; expected a whole number from 1 to 65535"),
        ("SERVE_THREADS", "0", "SERVE_THREADS is '0'; expected a whole number from 1 to 64"),
        ("SERVE_QUEUE", "-1", "SERVE_QUEUE is '-1'; expected a whole number from 0 to 4096"),
        ("SERVE_GRACE_SECONDS", "1.5", "SERVE_GRACE_SECONDS is '1.5'; expected a whole number from 0 to 600"),
    ],
)
def test_a_number_that_is_none_or_out_of_range(name: str, value: str, words: str) -> None:
    with pytest.raises(CannotStart) as caught:
        Settings.of({name: value})
    assert str(caught.value).startswith(words)
