"""What is wrong with a value of params.yaml, in words for its author: what was found and what was expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ml.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

UNKNOWN = {"extra_forbidden", "invalid_key"}  # invalid: one that is no text
MAPPING = "keys with values under it"
EXPECTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text like {pattern}",
    "dict_type": MAPPING,
    "model_type": MAPPING,
}
"""By pydantic's name of the mistake (docs.pydantic.dev, "Validation Errors"), with its context's values."""


def told(wrong: ErrorDetails, name: str, known: Iterable[str]) -> str:
    """One mistake in the key `name`, whose section knows the keys `known`, as the rest of a sentence."""
    kind = wrong["type"]
    if kind in UNKNOWN:
        return f"unknown key '{name}'; {did_you_mean(name.rpartition('.')[2], known)}"
    if kind == "missing":
        return f"'{name}' is missing; add it"
    return f"'{name}' is {wrong['input']!r}; expected {_expected(kind, wrong)}"


def _expected(kind: str, wrong: ErrorDetails) -> str:
    context: dict[str, Any] = wrong.get("ctx", {})
    if kind == "literal_error":
        choices = str(context["expected"])
        hint = did_you_mean(str(wrong["input"]), re.findall(r"'([^']*)'", choices))
        return choices + (f"; {hint}" if hint.startswith("did") else "")
    if kind in {"value_error", "assertion_error"}:
        return f"otherwise: {context['error']}"  # the words of the model's own validator
    if kind in EXPECTED:
        return EXPECTED[kind].format_map(context)
    return re.sub(r"^\w+ should (be|have) ", "", wrong["msg"])  # of a type that no section has used so far
