"""How drift is judged, retraining proposed and people told: `defaults.drift`, and what a model overrides of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ci.core.strict import Declared, over, parse

if TYPE_CHECKING:
    from ci.core.strict import Place

KEY = "drift"

Statistic = Literal["jensen_shannon", "psi", "wasserstein", "kolmogorov_smirnov"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Few = Annotated[int, Field(ge=1)]
Days = Annotated[int, Field(ge=0, le=36_500)]  # a century; dates reach back no million
Url = Annotated[str, Field(min_length=1)]
Some = Annotated[int, Field(ge=1, le=36_500)]

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
SOURCES = ("promql", "sql", "column")
CHANNELS: dict[str, tuple[str, ...]] = {
    "issue": (),
    "webhook": ("url_from",),
    "slack": ("url_from",),
    "email": ("to", "server_from"),
}
"""What each kind of alert has to say."""


class ColumnRule(Declared):
    """One of `columns`: None is what its kind and `limits.effect` say."""

    statistic: Statistic | None = None
    effect: Positive | None = None
    ignore: bool = False
    """Whether its distribution is left out; that it is gone, or of another type, is told all the same."""


class Limits(Declared):
    """How large a difference has to be, besides being certain, before it is a finding."""

    missing: Share = 0.05
    """Missing and infinite values of a column, as a share of rows beyond the reference's; also of the next two."""
    unseen: Share = 0.02
    out_of_range: Share = 0.02
    volume: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """By which share fewer rows a day than usual; as much more is 1 / (1 - volume) times as many."""
    stale_hours: Positive = 48
    """Hours since the newest row."""
    duplicates: Share = 0.05
    effect: Positive = 0.1
    """The statistic of a column, in its own unit."""


class Quality(Declared):
    """`margin`: by how much a gate metric may be worse than on the reference, in the metric's unit."""

    margin: Annotated[float, Field(ge=0)] = 0.02


class Service(Declared):
    """What the service has to keep to; None is not asked for."""

    errors: Share | None = 0.01
    fallbacks: Share | None = 0.05
    """Requests that got no score, whether refused or failed: their senders fell back on something else."""
    p99_seconds: Positive | None = None


class Business(Declared):
    """A number of one's own, of a PromQL expression, a SQL query or a column's mean, and where it has to be."""

    promql: str | None = None
    sql: str | None = None
    column: str | None = None
    min: float | None = None
    max: float | None = None


class Retrain(Declared):
    """When retraining is proposed, and how often at most."""

    cooldown_days: Days = 7
    least_labelled: Few = 1000
    """New labelled rows without which there is nothing to learn from."""
    per_week: Few = 2
    """Full trainings a week."""
    snooze_days: Some = 30
    """How long the same findings propose nothing again after a person closed what they proposed."""
    age_days: Some | None = None
    """Days after which a model is retrained whatever was found."""


class Alert(Declared):
    """Who is told. `url_from` and `server_from` name environment variables: what they hold is no file's business."""

    kind: Literal["issue", "webhook", "slack", "email"]
    url_from: str | None = None
    to: Annotated[list[str], Field(min_length=1)] | None = None
    server_from: str | None = None


class Rules(Declared):
    """`drift`."""

    log: Url | None = None
    """URL of the inference log."""
    rows: Url | None = None
    """URL of Parquet files with raw labelled rows, as the model's data file has them."""
    labels: Url | None = None
    """URL of Parquet files with labels that arrive later: id, label, and time if known."""
    days: Some = 7
    """A window's length."""
    least_rows: Few = 500
    delay_days: Days | None = None
    """How long labels take; None is the model's `split.delay_days`, else 0."""
    persistence: Few = 2
    """Windows in a row, none of which shares a row with another, before a finding is an alarm."""
    false_discoveries: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """Share of false ones among a window's findings of one kind, in expectation."""
    slices: list[str] = Field(default_factory=list)
    columns: dict[str, ColumnRule] = Field(default_factory=dict)
    limits: Limits = Limits()
    quality: Quality = Quality()
    service: Service = Service()
    business: dict[str, Business] = Field(default_factory=dict)
    retrain: Retrain = Retrain()
    alerts: list[Alert] = Field(default_factory=list)


def parse_rules(defaults: Rules, data: Any, place: Place) -> Rules:
    """The rules of a model: `data`, its own `drift` or None, over the defaults. Raises ConfigurationError."""
    if data is None:
        return defaults
    own = parse(Rules, data, place)
    require_whole(own, place)
    return over(defaults, own)


def require_whole(rules: Rules, place: Place) -> None:
    """Refuse a slice that is there twice, a business metric without one source and a bound, an alert to nobody."""
    for index, name in enumerate(rules.slices):
        if name in rules.slices[:index]:
            raise place.at("slices", index).error(f"slice '{name}' is listed twice; keep one.")
    for name, metric in rules.business.items():
        _require_business(name, metric, place.at("business", name))
    for index, alert in enumerate(rules.alerts):
        _require_alert(alert, place.at("alerts", index))


def _require_business(name: str, metric: Business, place: Place) -> None:
    sources = [key for key in SOURCES if getattr(metric, key) is not None]
    if len(sources) != 1:
        raise place.error(
            f"business metric '{name}' comes from one of {', '.join(SOURCES)}; found {' and '.join(sources) or 'none'}."
        )
    if metric.min is None and metric.max is None:
        raise place.error(f"business metric '{name}' has no bound, so nothing would be found; add min, max or both.")
    if metric.min is not None and metric.max is not None and metric.min > metric.max:
        raise place.at("min").error(
            f"'{name}' can never be within min {metric.min:g} and max {metric.max:g}; mend one."
        )


def _require_alert(alert: Alert, place: Place) -> None:
    needed = CHANNELS[alert.kind]
    for key in ("url_from", "to", "server_from"):
        value = getattr(alert, key)
        if value is None and key in needed:
            raise place.error(f"an alert of kind {alert.kind} needs '{key}'; add it.")
        if value is not None and key not in needed:
            raise place.at(key).error(f"an alert of kind {alert.kind} takes no '{key}'; leave it out.")
        if isinstance(value, str) and not VARIABLE.fullmatch(value):
            raise place.at(key).error(
                f"'{key}' names the environment variable that holds it, in capitals, such as DRIFT_{key.upper()[:-5]}; "
                "an address or a secret does not belong in a file."
            )
