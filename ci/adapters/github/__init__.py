"""The door to GitHub, and the ways it can stay shut: failures as a tree by cause."""

from __future__ import annotations

from ci.core.errors import EnvironmentFault


class GitHubError(EnvironmentFault):
    """GitHub did not do what it was asked."""


class TokenMissing(GitHubError):
    """There is no token, or one that cannot be sent."""


class TokenRefused(GitHubError):
    """401: GitHub does not know the token."""


class Forbidden(GitHubError):
    """403: GitHub knows the token and does not let it do this."""


class Locked(Forbidden):
    """403: the conversation is locked, and this token may not write in it all the same."""


class NotFound(GitHubError):
    """404 or 410: it is not there, or this token may not see it."""


class Invalid(GitHubError):
    """422 and other refusals of what was sent."""


class RateLimited(GitHubError):
    """The limit on requests lasts longer than it is sensible to wait."""


class Broken(GitHubError):
    """5xx, or an answer that is none. What was asked may have been done all the same."""


class Unreachable(Broken):
    """No answer came."""
