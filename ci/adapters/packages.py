"""The door to the packages of this environment."""

from __future__ import annotations

from importlib import metadata


def differing(constraints: str) -> list[str]:
    """Where this environment departs from the lines `name==version` of a constraints file, in words."""
    found = []
    for line in constraints.splitlines():
        name, is_pin, wanted = line.partition("#")[0].strip().partition("==")
        if not is_pin:
            continue
        try:
            here = metadata.version(name)
        except metadata.PackageNotFoundError:
            found.append(f"{name} {wanted} is not installed")
            continue
        if here.partition("+")[0] != wanted.partition("+")[0]:  # 2.13.0+cpu is torch 2.13.0
            found.append(f"{name} is {here}, not {wanted}")
    return found
