"""The text of a `.dvc` file with another hash for one of the folders that it pins; all else stays as it is."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import yaml

from ci.core.errors import ConfigurationError
from ci.core.retraining.records import Pin

START = re.compile(r"^(?=- )", re.MULTILINE)


def pin_of(text: str, file: str, path: str) -> Pin | None:
    """What the text of `file` (`data.dvc`) pins of `path` (`data/fraud`, from the root); None where it does not.

    Raises ConfigurationError for a text that pins nothing.
    """
    entry = next((one for one in _outs(text, file) if _whole(file, one) == path), None)
    return None if entry is None else Pin.model_validate({key: entry.get(key) for key in Pin.model_fields})


def repinned(text: str, file: str, path: str, pin: Pin) -> str:
    """The text with `pin` for `path`. Raises ConfigurationError where it is not pinned there in DVC's own form."""
    before = pin_of(text, file, path)
    head, *entries = START.split(text)
    at = next((at for at, one in enumerate(entries) if before and before.md5 in one), None)
    if at is None:
        raise ConfigurationError(f"{file} does not pin {path}; pin it with `dvc add {path}`.", file=file)
    for key, value in pin:
        if value is not None:
            entries[at] = re.sub(rf"(?m)^([- ] {key}: ).*$", rf"\g<1>{value}", entries[at])
    made = head + "".join(entries)
    if pin_of(made, file, path) != pin:
        raise ConfigurationError(f"{file} is not as DVC writes it; write it anew with `dvc add {path}`.", file=file)
    return made


def _outs(text: str, file: str) -> list[dict[str, Any]]:
    try:
        return [dict(one) for one in yaml.safe_load(text)["outs"] if "md5" in one]
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as wrong:
        raise ConfigurationError(
            f"{file} is not a DVC file that pins data: restore it with `git checkout {file}`.", file=file
        ) from wrong


def _whole(file: str, entry: dict[str, Any]) -> str:
    return (PurePosixPath(file).parent / str(entry["path"])).as_posix()
