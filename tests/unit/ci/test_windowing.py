"""Where the rows of a window are looked for, and what is told of a reading that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.adapters.shell import Completed
from ci.commands import windowing
from ci.commands.reference import Reference
from ci.core.drift.rules import Rules
from ci.core.errors import ConfigurationError, EnvironmentFault

HERE = Reference(Path("/here"), "churn", "full", "c" * 40, "c" * 40, {}, "the model")


@pytest.mark.parametrize(
    ("url", "place"), [("build/rows", "/here/build/rows"), ("/rows", "/rows"), ("s3://a/b", "s3://a/b"), ("", "")]
)
def test_a_folder_of_the_checkout_is_found_by_code_that_runs_in_another(url: str, place: str) -> None:
    assert windowing._placed(HERE, Rules(rows="build/rows"), url) == place


@pytest.mark.parametrize(
    ("code", "said", "kind", "words"),
    [
        (1, "window churn: it lacks 'label'; did you mean 'labl'?", ConfigurationError, "did you mean 'labl'?"),
        (2, "window churn: the store does not answer.", EnvironmentFault, "the store does not answer."),
        (-9, "", EnvironmentFault, "it ended without a word."),
    ],
)
def test_what_a_reading_said_last_is_a_sentence(code: int, said: str, kind: type[Exception], words: str) -> None:
    fault = windowing._failed(Completed(code, "", said), "churn")
    assert type(fault) is kind
    assert fault.message.endswith(words)
    assert fault.message.startswith("churn: ")
