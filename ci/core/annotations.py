"""GitHub's annotations: a message at the file and line that it is about, as a workflow command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.core.records import Verdict


def annotation(message: str, file: str | None, line: int | None) -> str:
    """A workflow command, its values escaped as GitHub's toolkit does it (`packages/core/src/command.ts`)."""
    places = {"file": file, "line": None if line is None else str(line)}
    properties = ",".join(
        f"{key}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in places.items()
        if value is not None
    )
    return f"::error {properties}::{_escaped(message)}" if properties else f"::error::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def of_verdict(verdict: Verdict, schema: str) -> Iterator[str]:
    """What stopped a stage, and each broken rule of the schema at the line that declares its column.

    `schema` is the text of the model's schema.py; where it does not tell the line, the file alone is named.
    """
    file = f"ml/models/{verdict.model}/schema.py"
    for broken in verdict.violations:
        words = f"{verdict.model}: {broken.message} ({broken.count:,} rows)"
        yield annotation(words, file, _line_of(broken.column or broken.check, schema))
    if verdict.problem is not None and not verdict.violations:
        problem = verdict.problem
        yield annotation(f"{verdict.model}: {problem.message}", problem.file, problem.line)


def _line_of(name: str, schema: str) -> int | None:
    """The line, counted from 1, that declares a column or defines a check."""
    declares = re.compile(rf"\s*({re.escape(name)}\s*:|def {re.escape(name)}\()")
    return next((number for number, text in enumerate(schema.splitlines(), 1) if declares.match(text)), None)
