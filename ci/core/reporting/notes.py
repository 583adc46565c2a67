"""The words around a report in a comment, and those that stand where there is no report: from trusted facts alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ci.core.errors import ConfigurationError
from ci.core.reporting.markdown import clip, code, escape

_CONCLUSION = re.compile(r"[a-z][a-z_]{0,31}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._-]+)*")


@dataclass(frozen=True)
class CheckRun:
    """The run of the check that a comment speaks of, as the event told it; None is not known."""

    commit: str | None = None
    conclusion: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could be more than a word or an address. Raises ConfigurationError."""
        for option, value, pattern, wanted in (
            ("--conclusion", self.conclusion, _CONCLUSION, "GitHub's word for how a run ended, such as 'failure'"),
            ("--run-url", self.url, _ADDRESS, "the address of a run, without query or fragment"),
        ):
            if value is not None and not pattern.fullmatch(value):
                raise ConfigurationError(f"{option} is '{clip(value, 80)}', but has to be {wanted}; leave it out.")

    @property
    def succeeded(self) -> bool:
        """Whether nothing is known against the run."""
        return self.conclusion in {None, "success"}

    def head(self) -> str:
        """Lines for the top of a comment: which commit was checked and where; how that ended if not well."""
        if self.conclusion is None and self.commit is None:
            return ""
        if self.succeeded:
            return f"<sub>{self._name()}{self._link()}</sub>\n\n"
        return (
            f"> ⚠️ **{self._name()} ended in {escape(self.conclusion)}.** "
            f"A pass below is this model's alone, and the change has not passed.{self._link()}\n\n"
        )

    def no_verdict(self, model: str) -> str:
        """For a model that was planned and not judged."""
        return (
            f"{self.head()}🔴 **{escape(model)}** has no verdict: its check ended before it could judge. "
            "The job's log says why.\n"
        )

    def not_shown(self, model: str) -> str:
        """For a record that is one and cannot be set as text all the same."""
        return (
            f"{self.head()}🔴 **{escape(model)}** has a record that cannot be shown; the job's log has its verdict.\n"
        )

    def untouched(self, model: str) -> str:
        """For a model with a comment, when a newer push does not touch it any more."""
        return (
            f"{self.head()}⚪ **{escape(model)}** is not touched by this pull request any more: "
            "there is nothing to judge.\n"
        )

    def not_judged(self, model: str) -> str:
        """For a model with a comment, when the check of a newer push did not end well and says nothing of it."""
        return f"{self.head()}🔴 **{escape(model)}** was not judged anew.\n"

    def ended_early(self, model: str) -> str:
        """For a model with a comment, when the check of a newer push left nothing to read."""
        return f"{self.head()}🔴 **{escape(model)}** was not judged anew: {self._ended()} before it could judge.\n"

    def _ended(self) -> str:
        return f"the check of {code(self.commit[:8])} ended" if self.commit else "the check ended"

    def _name(self) -> str:
        return f"The check of {code(self.commit[:8])}" if self.commit else "The check"

    def _link(self) -> str:
        return f" [The run]({self.url})" if self.url else ""
