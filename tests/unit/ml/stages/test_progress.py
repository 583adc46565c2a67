"""Progress is a live line on a terminal and one line elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ml.stages.progress import progress


@pytest.mark.parametrize("terminal", [True, False])
def test_progress(*, terminal: bool) -> None:
    out = io.StringIO()
    with progress("train toy smoke", 3_000, Console(file=out, force_terminal=terminal, width=100)) as tick:
        tick(1, 0.5, 0.6)
        tick(2, 0.4, None)
    assert out.getvalue().endswith("train toy smoke: 3,000 rows, step 2, loss 0.4000\n")
    assert (out.getvalue().count("\n") > 1 or "\x1b" in out.getvalue()) == terminal
