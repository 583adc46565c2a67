"""What git remembers of one release.yaml."""

from __future__ import annotations

from ci.core.records import Part


class ManifestChange(Part):
    """One commit's change of one release.yaml; `text` is what it was afterwards, None where it was removed.

    `when` is ISO 8601 with a zone; `note` is the approval kept as a git note, as JSON; `reviewed_by` are trailers.
    """

    path: str
    model: str
    environment: str
    commit: str
    when: str
    author: str
    committer: str
    subject: str
    reviewed_by: tuple[str, ...] = ()
    note: str | None = None
    text: str | None = None
