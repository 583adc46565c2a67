"""Addresses as they may be shown: without what lets anybody in."""

from __future__ import annotations

import re


def masked(uri: str) -> str:
    """A URI of which nothing is left that may be a login or a token."""
    scheme, slashes, rest = uri.partition("//")
    if not slashes:
        return uri.partition("?")[0]
    if rest.startswith("/"):  # a path, in which an `@` is a letter
        return re.split(r"[?#]", uri)[0]
    login, _, place = rest.rpartition("@")
    if "?" in login or "#" in login:  # the password's, or is the `@` the query's? Nobody can tell
        return f"{scheme}//..."
    return f"{scheme}//{re.split(r'[?#]', place)[0]}"
