"""Which units a canary answers where a rollout splits by unit: a share of all hashes, as a regular expression."""

from __future__ import annotations

HEADER = "X-Trunkline-Unit"
"""The request's header: the SHA-256 of the unit's id, in lower-case hexadecimal digits."""
NOBODY = "^-$"
"""Matches no hash."""
DIGITS = 3
"""Leading digits that decide, so that a share is kept to within 1/8192."""


def pattern(weight: int) -> str:
    """The hashes of `weight` per cent of the units: all those below a bound, so a larger share has the smaller in it.

    Proxies disagree on whether a pattern has to match a header's whole value or a part, and on the dialect, so this one
    says both ends, and keeps to what POSIX, PCRE and RE2 have alike.
    """
    bound = round(weight * 16**DIGITS / 100)
    if bound == 0:
        return NOBODY
    if bound == 16**DIGITS:
        return "^[0-9a-f]+$"
    digits = f"{bound:0{DIGITS}x}"
    below = [f"{digits[:place]}{_up_to(int(digit, 16))}" for place, digit in enumerate(digits) if digit != "0"]
    return f"^({'|'.join(below)})[0-9a-f]*$"


def _up_to(bound: int) -> str:
    """One digit below `bound`."""
    last = bound - 1
    if last == 0:
        return "0"
    return f"[0-{last:x}]" if last <= 9 else f"[0-9{'a' if last == 10 else f'a-{last:x}'}]"
