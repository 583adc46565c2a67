"""Model cards set as Markdown, every value escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.adapters.templates import markdown_environment
from ci.core import cards

if TYPE_CHECKING:
    from ci.core.lineage import Lineage
    from ci.core.records import Evaluation, Validation, Verdict


def card(
    lineage: Lineage,
    verdict: Verdict,
    validation: Validation,
    evaluation: Evaluation,
    words: cards.Words,
    version: str,
    image: str,
) -> str:
    """The model card of a version and its image: the same text for the same records."""
    made = cards.view(lineage, verdict, validation, evaluation, words, version, image)
    return markdown_environment().get_template("card.md.j2").render(card=made)
