"""What a model's params.yaml on the default branch says of its drift, and of the rows that it is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.adapters import files
from ci.adapters.rows import Columns, Later
from ci.commands.merged import PARAMS
from ci.core.drift import rules
from ci.core.errors import ConfigurationError, did_you_mean
from ci.core.strict import Place

if TYPE_CHECKING:
    from ci.commands.merged import Base
    from ci.core.drift.rules import Rules


@dataclass(frozen=True)
class Declared:
    """The rules, and the data: its file, its columns, how many days labels take, and how it is split, in words.

    `later` is where labels lie that come after their rows.
    """

    rules: Rules
    file: str
    columns: Columns
    delay_days: int
    split: str
    later: Later | None = None


def of(base: Base, model: str) -> Declared:
    """What the base declares of a model. Raises ConfigurationError."""
    params, path = base.params(), f"ml/models/{model}/{PARAMS}"
    if model not in params.models:
        raise ConfigurationError(f"there is no model '{model}' in {PARAMS}; {did_you_mean(model, params.models)}")
    raw, line_of = files.parse_yaml(base.read(path) or "", path)
    found = rules.parse_rules(params.defaults.drift, raw.get(rules.KEY), Place(path, line_of).at(rules.KEY))
    try:
        data, split = raw["data"], raw["split"]
        columns = Columns(str(data["id"]), str(data["label"]), data.get("time"))
        file, delay, words = str(data["file"]), int(split.get("delay_days", 0)), _split(split)
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise ConfigurationError(
            f"{path} has no whole `data` and `split`; run `trunkline check`.", file=path
        ) from wrong
    later = Later(found.labels, raw.get("task") == "binary") if found.labels else None
    return Declared(found, file, columns, delay if found.delay_days is None else found.delay_days, words, later)


def _split(split: dict[str, Any]) -> str:
    if split["by"] == "time":
        days = f"{split['train_days']} to train, {split['delay_days']} of delay, {split['test_days']} to test"
        return f"none to change: the split is by time, and takes the newest days by itself ({days})"
    return "none to change: the split is by hash of the id, so that new rows come to both sides"
