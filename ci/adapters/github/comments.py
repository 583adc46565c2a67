"""One comment per marker on a pull request: found by marker and author, updated in place, never twice."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ci.adapters.github import Broken, NotFound, protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.adapters.github.client import Client

BOT = "github-actions[bot]"  # who the workflow token writes as; it may not ask GET /user
ROUNDS = 5

Action = Literal["created", "updated", "unchanged", "absent"]


@dataclass(frozen=True)
class Comment:
    """An issue comment, as much of it as matters here."""

    id: int
    author: str
    body: str
    url: str

    @classmethod
    def of(cls, data: Any) -> Comment:
        """Read GitHub's JSON. A deleted account leaves a comment without a user."""
        author = (data.get("user") or {}).get("login", "")
        return cls(data["id"], author, data.get("body") or "", data.get("html_url", ""))


@dataclass(frozen=True)
class Thread:
    """The comments of one pull request; `author` is the login that ours are written as."""

    client: Client
    repo: str
    number: int
    author: str = BOT

    def own(self, author: str | None = None) -> list[Comment]:
        """Our comments, oldest first, from all pages."""
        path = f"/repos/{self.repo}/issues/{self.number}/comments"
        login = (author or self.author).casefold()
        comments = [Comment.of(data) for data in self.client.every(path)]
        return sorted((one for one in comments if one.author.casefold() == login), key=lambda one: one.id)

    def upsert(self, marker: str, body: str, *, create: bool = True) -> Action:
        """Make `body`, which begins with `marker`, the one comment of ours with that marker. See `upsert_all`."""
        return self.upsert_all({marker: body}, create=create)[marker]

    def upsert_all(
        self, bodies: Mapping[str, str], *, create: bool = True, known: Sequence[Comment] | None = None
    ) -> dict[str, Action]:
        """For each marker make its body, which begins with it, the one comment of ours with that marker.

        Without `create`, only comments that are there already are changed. `known` are our comments if the caller
        has just listed them. The oldest of several is kept, which all who post at once agree on, and the younger are
        deleted. The comments are listed at most twice unless something fails. Raises GitHubError.
        """
        texts = {marker: body if body.startswith(marker) else f"{marker}\n{body}" for marker, body in bodies.items()}
        made: dict[str, Comment] = {}
        actions: dict[str, Action] = {}
        if texts:
            actions = self.settle(texts, made, self.own() if known is None else known, create=create)
        if made:
            # Another job may have posted since; the list may lag behind our own posts.
            again = replace(self, author=self._writer(made))
            actions |= again.settle({marker: texts[marker] for marker in made}, made, again.own(), create=create)
        return actions

    def settle(
        self, texts: Mapping[str, str], made: dict[str, Comment], own: Sequence[Comment], *, create: bool
    ) -> dict[str, Action]:
        """One pass of `upsert_all` over comments just listed, which adds what it posts to `made`.

        Where a write's outcome is not known it looks before it posts again. Raises GitHubError.
        """
        actions: dict[str, Action] = {}
        for marker, text in texts.items():
            failed = 0
            while marker not in actions:
                try:
                    actions[marker] = self._settle(marker, text, made, own, create=create)
                except (_Unsure, _Gone):
                    failed += 1
                    if failed == ROUNDS:
                        raise
                    self.client.sleep(protocol.backoff(failed - 1))
                    own = self.own()
        return actions

    def _writer(self, made: Mapping[str, Comment]) -> str:
        """Who the token writes as, which is told where it is not who was expected."""
        author = next(iter(made.values())).author
        if author.casefold() != self.author.casefold():
            print(f"This token writes as '{author}'; set TRUNKLINE_BOT to that.", file=sys.stderr)
        return author

    def _settle(
        self, marker: str, text: str, made: dict[str, Comment], own: Sequence[Comment], *, create: bool
    ) -> Action:
        mine = made.get(marker)
        seen = {one.id: one for one in own if one.body.startswith(marker)} | ({mine.id: mine} if mine else {})
        ours = sorted(seen.values(), key=lambda one: one.id)
        if not ours:
            if not create:
                return "absent"
            made[marker] = self._post(text)
            return "created"
        kept, *younger = ours
        changed = not _same(kept.body, text)
        if changed:
            self._patch(kept, text)
        for one in younger:
            self._delete(one)
        if kept == mine:
            return "created"
        return "updated" if changed or younger else "unchanged"

    def _post(self, text: str) -> Comment:
        path = f"/repos/{self.repo}/issues/{self.number}/comments"
        try:
            return Comment.of(self.client.send("POST", path, body={"body": text}))
        except Broken as fault:
            raise _Unsure(fault.message) from fault

    def _patch(self, comment: Comment, text: str) -> None:
        try:
            self.client.send("PATCH", f"/repos/{self.repo}/issues/comments/{comment.id}", body={"body": text})
        except NotFound as fault:
            raise _Gone(fault.message) from fault

    def _delete(self, comment: Comment) -> None:
        try:
            self.client.send("DELETE", f"/repos/{self.repo}/issues/comments/{comment.id}")
        except NotFound:
            print(f"comment {comment.id} was deleted already", file=sys.stderr)


class _Unsure(Broken):
    """A POST without an answer: the comment may be there all the same."""


class _Gone(NotFound):
    """A comment we had just seen was deleted before we wrote to it."""


def _same(left: str, right: str) -> bool:
    """Whether GitHub, which may store other line ends and blanks at the end, would show both alike."""
    return left.replace("\r\n", "\n").strip() == right.replace("\r\n", "\n").strip()
