"""One issue per marker in a repository: found by label, author and marker, opened once, closed by a person."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.adapters.github import Forbidden, NotFound
from ci.adapters.github.comments import Thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.adapters.github.client import Client

NOW = "<!-- trunkline:now -->"
"""Begins the comment that says how what an issue tells of goes on."""


@dataclass(frozen=True)
class Issues:
    """The issues of one repository; `author` is the login that ours are written as."""

    client: Client
    repo: str
    author: str

    def open(self, marker: str, title: str, body: str, labels: Sequence[str]) -> str | None:
        """The address of the one issue with this marker, opened unless it is there, in whatever state.

        Two that open it at once both look again, and the younger is closed. None where the repository has no issues or
        the token may not open any, which stderr says: what an issue tells has happened. Raises GitHubError.
        """
        text = body if body.startswith(marker) else f"{marker}\n{body}"
        sent = {"title": title, "body": text, "labels": list(labels)}
        mine: list[Any] = []

        def post() -> Any:
            mine.append(self.client.send("POST", f"/repos/{self.repo}/issues", body=sent))
            return mine[0]

        try:
            issue = self.client.once(lambda: self._oldest(marker, labels, self.author), post)
            if mine:
                writer = issue["user"]["login"]
                if writer.casefold() != self.author.casefold():
                    print(f"This token writes as '{writer}'; set TRUNKLINE_BOT to that.", file=sys.stderr)
                older = self._oldest(marker, labels, writer)
                if older is not None and older["number"] < issue["number"]:
                    change = {"state": "closed", "state_reason": "duplicate"}
                    self.client.send("PATCH", f"/repos/{self.repo}/issues/{issue['number']}", body=change)
                    issue = older
        except (NotFound, Forbidden) as refused:
            why = "keeps no issues" if isinstance(refused, NotFound) else "lets this token open no issues"
            print(f"{self.repo} {why}, so none was opened: {title}", file=sys.stderr)
            return None
        return str(issue["html_url"])

    def follow(self, marker: str, labels: Sequence[str], words: str, *, over: bool) -> None:
        """Make `words` our one comment on the issue with this marker; `over` closes it. Raises GitHubError.

        Nothing is said on one that is closed, and where there are no issues there is nothing to follow.
        """
        try:
            found = self._oldest(marker, labels, self.author)
        except NotFound:
            return
        if found is None or found["state"] == "closed":
            return
        Thread(self.client, self.repo, found["number"], self.author).upsert(NOW, words)
        if over:
            change = {"state": "closed", "state_reason": "completed"}
            self.client.send("PATCH", f"/repos/{self.repo}/issues/{found['number']}", body=change)

    def _oldest(self, marker: str, labels: Sequence[str], author: str) -> Any:
        """The oldest of ours with this marker, or None. Pull requests are issues to GitHub, and are passed over."""
        query = {"state": "all", "labels": ",".join(labels)}
        found = [
            one
            for one in self.client.every(f"/repos/{self.repo}/issues", query)
            if "pull_request" not in one
            and (one.get("user") or {}).get("login", "").casefold() == author.casefold()
            and (one.get("body") or "").startswith(marker)
        ]
        return min(found, key=lambda one: int(one["number"]), default=None)
