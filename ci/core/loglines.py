"""Text of others as one line of a log, where a line can be a command to GitHub Actions."""

from __future__ import annotations

from ci.core.reporting.markdown import clean


def quiet(text: str) -> str:
    """`text` on one line that GitHub's runner takes for no command: neither `::name::` nor the older `##[name]`."""
    return clean(text).replace("::", ": :").replace("##[", "## [")
