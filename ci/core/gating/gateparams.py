"""The gates of a model's params.yaml, strictly, with every default filled in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ci.core import cards, serving
from ci.core.canary import rules
from ci.core.drift import rules as drift
from ci.core.errors import did_you_mean
from ci.core.gating import names
from ci.core.params import Confidence, Few, Policy, require_tail
from ci.core.records import Mode, Task
from ci.core.statistics import metrics
from ci.core.statistics.metrics import KINDS, Metric
from ci.core.strict import Declared, Place, mapping, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.core.params import Defaults
    from ci.core.strict import Where

MODEL_KEYS = (
    *("kind", "task", "data", "split", "model", "modes", "checks", "gates"),
    *(cards.KEY, rules.KEY, drift.KEY, serving.KEY),
)
MODES: tuple[Mode, ...] = ("smoke", "full")

RuleName = Literal["min", "max", "no_worse_than"]
BaselineName = Literal["merge_base", "champion"]
RowsName = Literal["new", "old"]
JUDGED: dict[BaselineName, Mode] = {"merge_base": "smoke", "champion": "full"}
"""The mode in which candidates are compared with each baseline."""


OLD_ROWS = "the champion's own test rows"


class NoWorseThan(Declared):
    """A relative rule: candidate minus baseline may fall short by `margin`, in the metric's unit."""

    baseline: BaselineName
    rows: RowsName = "new"
    """Old ones are the test rows that the champion was judged on, new ones those of the candidate."""
    margin: Annotated[float, Field(ge=0)]


class GateEntry(Declared):
    """One entry of `gates` as written."""

    metric: str
    min: float | None = None
    max: float | None = None
    no_worse_than: NoWorseThan | None = None
    modes: Annotated[list[Mode], Field(min_length=1)] | None = None
    slices: Annotated[list[str], Field(min_length=1)] | None = None
    min_rows: Few | None = None
    confidence: Confidence | None = None
    on_inconclusive: Policy | None = None
    fpr: Annotated[float, Field(gt=0, lt=1)] | None = None
    top: Few | None = None
    card: str | None = None
    time: str | None = None
    group: str | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None


@dataclass(frozen=True)
class Gate:
    """One gate. `limit` is the bound, or the margin where there is a `baseline`; `rows` says on which test rows."""

    metric: Metric
    rule: RuleName
    limit: float
    baseline: BaselineName | None
    modes: tuple[Mode, ...]
    slices: tuple[str, ...]
    min_rows: int
    confidence: float
    on_inconclusive: Policy
    rows: RowsName = "new"

    def name(self, column: str | None = None, value: str | None = None) -> names.GateName:
        """Its name, or that of one of its slices."""
        rule = f"{self.rule}.{self.baseline}" if self.baseline else self.rule
        rule = f"{rule}.{names.ON_OLD_ROWS}" if self.rows == "old" else rule
        return names.GateName(self.metric.label, rule, column, value)

    @property
    def words(self) -> str:
        """The rule for people: `min 0.3`, `no worse than merge_base by 0.01`."""
        where = " on its test rows" if self.rows == "old" else ""
        return (
            f"no worse than {self.baseline} by {self.limit:g}{where}"
            if self.baseline
            else f"{self.rule} {self.limit:g}"
        )


def parse_model(
    data: Any, line_of: Callable[[Where], int | None], defaults: Defaults, *, file: str
) -> tuple[Task, tuple[Gate, ...]]:
    """A model's task and its gates for every mode. Raises ConfigurationError; a gate declared twice is one."""
    place = Place(file, line_of)
    raw = mapping(data, place, MODEL_KEYS)
    task = _task(raw, place)
    entries = raw.get("gates")
    if not isinstance(entries, list) or not entries:
        raise place.at("gates").error(
            "'gates' is not a list of gates, and a model without one ships unjudged; "
            "write one `- {metric: ..., min: ...}` a line."
        )
    gates = tuple(_gate(entry, place.at("gates", index), task, defaults) for index, entry in enumerate(entries))
    _require_distinct(gates, place)
    _require_kept(raw, entries, place)
    return task, gates


def _require_kept(raw: Mapping[str, Any], entries: list[dict[str, Any]], place: Place) -> None:
    """Refuse a gate on a column that predictions do not carry."""
    data = raw.get("data")
    keep = data.get("keep") or [] if isinstance(data, dict) else []
    for index, entry in enumerate(entries):
        for key in ("slices", "group", "card", "time"):
            named = entry.get(key) or []
            for column in named if isinstance(named, list) else [named]:
                if column not in keep:
                    hint = did_you_mean(str(column), keep) if keep else "it names none"
                    words = f"'{key}' names column '{column}', which data.keep does not carry to the gates; {hint}"
                    raise place.at("gates", index, key).error(words)


def _task(raw: Mapping[str, Any], place: Place) -> Task:
    task = raw.get("task")
    for known in metrics.SHOWN:
        if task == known:
            return known
    raise place.at("task").error(f"'task' is {task!r}; {did_you_mean(str(task), metrics.SHOWN)}")


def _require_distinct(gates: tuple[Gate, ...], place: Place) -> None:
    """Refuse two gates of one name in one mode: reports and waivers could not tell them apart."""
    seen: Counter[tuple[str, Mode]] = Counter()
    for index, gate in enumerate(gates):
        for mode in gate.modes:
            for name in {str(gate.name(column, "*" if column else None)) for column in gate.slices or (None,)}:
                seen[name, mode] += 1
                if seen[name, mode] > 1:
                    raise place.at("gates", index).error(f"gate '{name}' is declared twice for mode {mode}; keep one.")


def _gate(data: Any, place: Place, task: Task, defaults: Defaults) -> Gate:
    entry = parse(GateEntry, data, place)
    metric = _metric(entry, place, task, defaults)
    rule, limit, baseline = _rule(entry, place)
    if metric.kind.family == "record":
        _require_plain(entry, place)
    confidence = entry.confidence or defaults.confidence
    require_tail(confidence, defaults.resamples, place.at("confidence"))
    return Gate(
        metric=metric,
        rule=rule,
        limit=limit,
        baseline=baseline,
        modes=_modes(entry, baseline, place),
        slices=tuple(dict.fromkeys(entry.slices or ())),
        min_rows=entry.min_rows or defaults.min_rows,
        confidence=confidence,
        on_inconclusive=entry.on_inconclusive or defaults.on_inconclusive,
        rows=entry.no_worse_than.rows if entry.no_worse_than else "new",
    )


def _metric(entry: GateEntry, place: Place, task: Task, defaults: Defaults) -> Metric:
    if entry.metric not in KINDS:
        raise place.at("metric").error(f"unknown metric '{entry.metric}'; {did_you_mean(entry.metric, KINDS)}")
    kind = KINDS[entry.metric]
    if task not in kind.tasks:
        fitting = [name for name, other in KINDS.items() if task in other.tasks]
        raise place.at("metric").error(f"{entry.metric} is not for a {task} model; such are: {', '.join(fitting)}.")
    for key in ("fpr", "top", "card", "time", "group", "threshold"):
        given = getattr(entry, key) is not None
        if given and key not in kind.needs + kind.takes:
            raise place.at(key).error(f"{entry.metric} takes no '{key}'; leave it out.")
        if not given and key in kind.needs:
            raise place.error(f"{entry.metric} needs '{key}'; add it.")
    threshold = metrics.THRESHOLD if entry.threshold is None else entry.threshold
    return Metric(
        name=entry.metric,
        fpr=entry.fpr,
        top=(entry.top or metrics.TOP) if "top" in kind.takes else None,
        card=entry.card,
        time=entry.time,
        group=entry.group,
        threshold=threshold if "threshold" in kind.takes else None,
        min_rows=(entry.min_rows or defaults.min_rows) if entry.group else None,
    )


def _rule(entry: GateEntry, place: Place) -> tuple[RuleName, float, BaselineName | None]:
    bounds: dict[RuleName, float | None] = {"min": entry.min, "max": entry.max}
    relative = entry.no_worse_than
    given = [(rule, bound) for rule, bound in bounds.items() if bound is not None]
    if len(given) + (relative is not None) != 1:
        found = [rule for rule, _ in given] + (["no_worse_than"] if relative else [])
        raise place.error(f"a gate has one of min, max and no_worse_than; found {' and '.join(found) or 'none'}.")
    if relative is not None:
        if relative.rows == "old" and relative.baseline != "champion":
            raise place.at("no_worse_than", "rows").error(
                "old rows are those that the champion was judged on; write baseline: champion, or leave 'rows' out."
            )
        return "no_worse_than", relative.margin, relative.baseline
    return (*given[0], None)


def _modes(entry: GateEntry, baseline: BaselineName | None, place: Place) -> tuple[Mode, ...]:
    """The modes a gate holds in: both, but a relative one where there is its baseline."""
    if baseline is None:
        return tuple(entry.modes or MODES)
    mode = JUDGED[baseline]
    if entry.modes is not None and entry.modes != [mode]:
        raise place.at("modes").error(
            f"in {mode} mode alone is there a {baseline} to compare with, so this gate could never pass in another; "
            f"write modes: [{mode}], or leave it out."
        )
    return (mode,)


def _require_plain(entry: GateEntry, place: Place) -> None:
    """Refuse what only makes sense of a metric taken over rows."""
    for key in ("slices", "min_rows", "confidence"):
        if getattr(entry, key) is not None:
            raise place.at(key).error(f"{entry.metric} is one number, not taken over rows; leave '{key}' out.")
    if entry.no_worse_than and entry.no_worse_than.rows == "old":
        raise place.at("no_worse_than", "rows").error(f"{entry.metric} is not taken over rows; leave 'rows' out.")
    if entry.no_worse_than and entry.metric.startswith("latency"):
        raise place.at("no_worse_than").error(
            f"{entry.metric} is measured on this machine alone, so no baseline has it; give it a max."
        )
