"""What several models ran into, one by one, in one command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ci.core.gating.verdict import WORST_FIRST
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ci.core.errors import TrunklineError


def raise_worst(faults: Iterable[TrunklineError]) -> None:
    """Raise the one whose exit code is the worst, if there is any, after the others were told on stderr."""
    worst_last = sorted(faults, key=lambda one: WORST_FIRST.index(one.exit_code), reverse=True)
    tell(worst_last[:-1])
    if worst_last:
        raise worst_last[-1]


def tell(faults: Iterable[TrunklineError]) -> None:
    """Say them on stderr, where something else decides how the command ends."""
    for one in faults:
        print(f"trunkline: {quiet(one.message)}", file=sys.stderr)
