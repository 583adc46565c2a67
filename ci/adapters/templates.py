"""The door to Jinja2: verdicts set as Markdown and as one HTML page, every value escaped unless said otherwise."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from ci.core.releasing import card_of
from ci.core.reporting import drift as drifting
from ci.core.reporting import markdown, report
from ci.core.reporting.show import count
from ci.core.reporting.tables import PAGE
from ci.core.retraining import telling as retraining
from ci.core.rollouts import telling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Template

    from ci.core.canary.records import Rollout
    from ci.core.drift.records import Drift
    from ci.core.records import Verdict
    from ci.core.releasing import Body

WHOLE = "artifacts/report.html"
BLOCKS = (  # of report.md.j2, in the order shown and with the title that a cut is told by
    ("verdict", "verdict"),
    ("change", "what changed"),
    ("blockers", "failing gates"),
    ("violations", "schema violations"),
    ("metrics", "metrics"),
    ("waivers", "waivers"),
    ("gates", "all gates"),
    ("slices", "slices"),
    ("checks", "smoke checks"),
    ("plots", "plots"),
    ("timings", "timings"),
    ("lineage", "lineage and how to reproduce"),
)


@cache
def markdown_environment() -> Environment:
    """Templates of Markdown: every value passes `markdown.escape`; the filter `code` sets it as code instead."""
    environment = Environment(  # noqa: S701 - `finalize` escapes for Markdown, where autoescape knows HTML alone
        loader=PackageLoader("ci"),
        undefined=StrictUndefined,
        finalize=markdown.escape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": markdown.code, "count": count, "verbatim": markdown.Safe}
    return environment


@cache
def html_environment() -> Environment:
    """Templates of HTML: every value is escaped."""
    environment = Environment(
        loader=PackageLoader("ci"), undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": count}
    return environment


def render_markdown(verdicts: Sequence[Verdict], *, marker: str | None = None, limit: int | None = None) -> str:
    """The report as GitHub shows it, with `marker` as its first line, at most `limit` characters (a comment's).

    Each model's first screen outlives any model's longer parts when not all fit.
    """
    template = markdown_environment().get_template("report.md.j2")
    view = report.view(verdicts)

    def block(name: str, model: report.ModelView | None) -> str:
        context = template.new_context({"report": view, "model": model})
        return "".join(template.blocks[name](context))

    sections = [markdown.Section("summary", block("summary", None), 0)] if len(view.models) != 1 else []
    for model in view.models:
        for rank, (name, title) in enumerate(BLOCKS):
            alone = len(view.models) == 1
            full_title = title if alone else f"{model.title}: {title}"
            sections.append(markdown.Section(full_title, block(name, model), 0 if alone and rank == 0 else rank + 1))
    most = markdown.COMMENT_LIMIT - markdown.ROOM if limit is None else limit
    head = f"{marker}\n" if marker else ""
    return head + markdown.fit(sections, whole=WHOLE, limit=most - markdown.length(head))


def render_release(body: Body, verdict: Verdict) -> str:
    """The body of a release's pull request, cut where it would be too long: the card goes first, the facts stay."""
    said, tables = (markdown_environment().get_template(name) for name in ("release.md.j2", "report.md.j2"))
    (model,) = report.view([verdict]).models

    def block(template: Template, name: str) -> str:
        return "".join(template.blocks[name](template.new_context({"release": body, "model": model})))

    sections = [
        markdown.Section("release", block(said, "head"), 0),
        *(markdown.Section(name, block(tables, name), rank) for rank, name in enumerate(("metrics", "waivers"), 1)),
        markdown.Section("model card", block(said, "card"), 3),
    ]
    return markdown.fit(sections, whole=card_of(body.model, body.environment))


def render_rollout(rollout: Rollout, what: str) -> str:
    """A rollout's decision and its evidence, for a pull request or an issue; `what` are its last words."""
    said = markdown_environment().get_template("rollout.md.j2").render(rollout=telling.view(rollout), what=what)
    return markdown.fit([markdown.Section("rollout", said, 0)], whole="the record of the rollout")


def render_rollback(facts: Sequence[tuple[str, str]], rollout: Rollout | None) -> str:
    """A rollback that a person asked for, with what a canary that it takes back has shown."""
    shown = telling.view(rollout) if rollout is not None else None
    said = markdown_environment().get_template("rollback.md.j2").render(facts=facts, rollout=shown)
    return markdown.fit([markdown.Section("rollback", said, 0)], whole="the record of the rollout")


def render_retraining(view: retraining.View) -> str:
    """The body of a retraining's pull request."""
    said = (
        markdown_environment()
        .get_template("retrain.md.j2")
        .render(retraining=view, findings=retraining.FINDINGS, quality=retraining.QUALITY)
    )
    return markdown.fit([markdown.Section("retraining", said, 0)], whole="drift.json")


def render_drift(drift: Drift, earlier: Sequence[Drift] = (), *, marker: str | None = None) -> str:
    """What a window showed, for a step's summary, a pull request or an issue; `earlier` are windows before it."""
    template, view = markdown_environment().get_template("drift.md.j2"), drifting.view(drift, earlier)
    names = {"findings": drifting.FINDINGS, "columns": drifting.COLUMNS}
    names |= {"quality": drifting.QUALITY, "estimates": drifting.ESTIMATES}

    def block(name: str) -> str:
        return "".join(template.blocks[name](template.new_context({"drift": view, "names": names})))

    parts = ("head", "findings", "notes", "quality", "estimates", "shapes", "time", "columns")
    sections = [markdown.Section(name, block(name), rank) for rank, name in enumerate(parts)]
    head = f"{marker}\n" if marker else ""
    return head + markdown.fit(sections, whole=f"artifacts/{drift.model}/drift/drift.json")


def render_html(verdicts: Sequence[Verdict], charts: Mapping[str, Mapping[str, str]]) -> str:
    """The report as one page that needs nothing else; `charts` holds `data:` URIs by model and by title."""
    return (
        html_environment()
        .get_template("report.html.j2")
        .render(report=report.view(verdicts, PAGE), charts=charts, style=_style())
    )


def _style() -> str:
    loader = html_environment().loader
    assert isinstance(loader, PackageLoader)  # noqa: S101 - made so above
    return loader.get_source(html_environment(), "report.css")[0]
