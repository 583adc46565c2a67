"""GitHub's REST protocol without input or output: what to send, and what an answer means.

The shape is gidgethub's `sansio`: a transport sends a `Request` and hands every answer to `decide`, or to `lost`
when none came, and does what it is told: `Done`, `Wait` and send again, or `Fail`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from ci.adapters.github import (
    Broken,
    Forbidden,
    GitHubError,
    Invalid,
    Locked,
    NotFound,
    RateLimited,
    TokenMissing,
    TokenRefused,
    Unreachable,
)
from ci.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRIES = 5
MAX_WAIT = 300.0  # seconds, over all tries of one request
PAUSE = 1.0  # seconds between two writes, as GitHub asks of all who write
LONGEST = 366 * 86_400.0  # seconds; what GitHub says of a wait is believed up to here
REPEATABLE = frozenset({"GET", "PATCH", "DELETE"})  # done twice is done once; a POST is not
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Request:
    """What to send. The headers hold the token and stay out of `repr`."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    repeatable: bool = True

    def __str__(self) -> str:
        return f"{self.method} {urlsplit(self.url).path}"


@dataclass(frozen=True)
class Tried:
    """How often a request was sent before this time, and how many seconds were waited in all."""

    times: int = 0
    waited: float = 0.0


@dataclass(frozen=True)
class Done:
    """The decoded answer, and where the next page of it is."""

    data: Any
    next_page: str | None = None


@dataclass(frozen=True)
class Wait:
    """Send the same request again after `seconds`."""

    seconds: float
    reason: str


@dataclass(frozen=True)
class Fail:
    """It will not be done; the transport raises `error`."""

    error: GitHubError


def checked_token(token: str | None) -> str:
    """The token, fit for a header. Raises TokenMissing in words that do not hold it."""
    text = (token or "").strip()
    if not text:
        raise TokenMissing(
            "There is no GitHub token: GITHUB_TOKEN is not set; "
            "pass `${{ github.token }}` in a workflow, or export a token that may write pull requests."
        )
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise TokenMissing("The GitHub token holds blanks or characters no token has; set it to the token alone.")
    return text


def checked_api(url: str) -> str:
    """The API's address without a trailing slash. Raises ConfigurationError for one a token must not be sent to."""
    return _checked_address(url, "GITHUB_API_URL", "an API", "https://HOST/api/v3")


def checked_server(url: str) -> str:
    """The address that repositories are under, likewise."""
    return _checked_address(url, "GITHUB_SERVER_URL", "GitHub", "https://HOST")


def _checked_address(url: str, variable: str, what: str, example: str) -> str:
    origin = _origin(url)
    safe = origin is not None and (origin[0] == "https" or (origin[0] == "http" and is_loopback(url)))
    if not safe or set("@?#\\") & set(url) or not url.isprintable() or " " in url:
        raise ConfigurationError(
            f"{variable} is not the https address of {what} without credentials, query or fragment; "
            f"unset it for github.com, or set it to `{example}`."
        )
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine."""
    origin = _origin(url)
    return origin is not None and origin[1] in LOOPBACK


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port, so that two ways to write one are the same; None where there is no host or bad port."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or port == 0:
        return None
    return parts.scheme, parts.hostname, port or {"https": 443, "http": 80}.get(parts.scheme)


def request(
    method: str,
    url: str,
    *,
    token: str,
    params: Mapping[str, str | int] | None = None,
    body: object = None,
    repeatable: bool = False,
) -> Request:
    """A request to an absolute `url`, with `params` as its query and `body` as JSON.

    `repeatable` says of a POST or PUT that done twice is done once; of the other methods that is known.
    """
    headers = {
        "accept": "application/vnd.github+json",
        "authorization": f"Bearer {token}",
        "user-agent": "trunkline",
        "x-github-api-version": "2022-11-28",
    }
    content = None
    if body is not None:
        headers["content-type"] = "application/json"
        content = json.dumps(body).encode()
    target = f"{url}?{urlencode(params)}" if params else url
    return Request(method, target, headers, content, repeatable or method in REPEATABLE)


def graphql(api: str) -> str:
    """The address of the GraphQL API beside the REST API, also on GitHub Enterprise Server (`/api/v3`)."""
    return f"{api.removesuffix('/v3')}/graphql"


def decide(
    asked: Request, status: int, headers: Mapping[str, str], body: bytes, *, tried: Tried, now: float
) -> Done | Wait | Fail:
    """What an answer means. `headers` have lower-case names, `now` is in seconds since the epoch."""
    if status in {200, 201, 202, 204}:
        return _done(asked, headers, body, tried, now)
    said = _said(body)
    if status == 429 or (status == 403 and _limited(headers, said)):
        seconds = _until_allowed(headers, tried, now)
        return _wait(seconds, f"GitHub's rate limit is reached ({status})", tried, now)
    if status == 422 and "submitted too quickly" in said.lower():
        return _wait(_until_allowed(headers, tried, now), "GitHub asks to write more slowly (422)", tried, now)
    if status >= 500 or status == 408:
        return _again(asked, Broken(f"GitHub answered {status} to {asked}"), tried)
    return Fail(_refusal(asked, status, headers, said))


def lost(asked: Request, why: str, *, tried: Tried) -> Wait | Fail:
    """What it means that no answer came; `why` is a few words on how it was lost."""
    host = urlsplit(asked.url).hostname
    return _again(asked, Unreachable(f"No answer came from {host} to {asked} ({why})"), tried)


def backoff(times: int) -> float:
    """Seconds to wait after `times` earlier tries: 1, 2, 4, 8."""
    return float(2**times)


def _done(asked: Request, headers: Mapping[str, str], body: bytes, tried: Tried, now: float) -> Done | Wait | Fail:
    try:
        data = json.loads(body) if body else None
    except ValueError:
        host = urlsplit(asked.url).hostname
        return Fail(Broken(f"{host} answered {asked} with something that is not JSON; check that it is GitHub's API."))
    if isinstance(data, dict) and "errors" in data and urlsplit(asked.url).path.endswith("/graphql"):
        return _answered_errors(asked, data["errors"], headers, tried, now)
    following = _next_page(headers.get("link", ""))
    if following is not None and ("@" in following or _origin(following) != _origin(asked.url)):
        return Fail(
            Broken(f"The next page of {asked} is said to be on another host, where the token will not be sent.")
        )
    return Done(data, following)


def _answered_errors(
    asked: Request, errors: Sequence[Mapping[str, Any]], headers: Mapping[str, str], tried: Tried, now: float
) -> Wait | Fail:
    """GraphQL answers 200 whatever happened, and says in the body what did."""
    kinds = {str(error.get("type")) for error in errors}
    said = " ".join(": ".join(str(error.get("message")) for error in errors).split())[:300]
    if "RATE_LIMITED" in kinds:
        return _wait(_until_allowed(headers, tried, now), "GitHub's rate limit is reached (GraphQL)", tried, now)
    status = 403 if "FORBIDDEN" in kinds else 404 if "NOT_FOUND" in kinds else 422
    return Fail(_refusal(asked, status, headers, said))


def _next_page(link: str) -> str | None:
    for url, parameters in re.findall(r'<([^>]*)>((?:\s*;\s*[\w-]+="[^"]*")*)', link):
        if re.search(r';\s*rel="(?:[^"]*\s)?next(?:\s[^"]*)?"', parameters):
            return str(url)
    return None


def _said(body: bytes) -> str:
    """GitHub's own words in an error, on one line and short."""
    try:
        data = json.loads(body)
        words = [str(data["message"]), *(_field_error(error) for error in data.get("errors") or ())]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
    return " ".join(": ".join(words).split())[:300]


def _field_error(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    return str(error.get("message") or f"{error.get('field')} {error.get('code')}")


def _limited(headers: Mapping[str, str], said: str) -> bool:
    used_up = headers.get("x-ratelimit-remaining") == "0"
    return used_up or "retry-after" in headers or "rate limit" in said.lower()


def _until_allowed(headers: Mapping[str, str], tried: Tried, now: float) -> float:
    """Seconds, as GitHub's `rate-limits-for-the-rest-api` asks: retry-after, the reset, or a growing minute."""
    if headers.get("retry-after", "").isdecimal():
        return min(float(headers["retry-after"]), LONGEST)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdecimal():
        return min(max(float(headers["x-ratelimit-reset"]) - now, 0.0) + 1.0, LONGEST)
    return 60.0 * backoff(tried.times)


def _wait(seconds: float, reason: str, tried: Tried, now: float) -> Wait | Fail:
    if tried.waited + seconds <= MAX_WAIT and tried.times < TRIES:
        return Wait(seconds, reason)
    until = datetime.fromtimestamp(now + seconds, UTC)
    return Fail(
        RateLimited(
            f"{reason} until {until:%Y-%m-%d %H:%M} UTC, and this command has waited {tried.waited:.0f} s "
            f"of at most {MAX_WAIT:.0f} s; run it again after that."
        )
    )


def _again(asked: Request, error: Broken, tried: Tried) -> Wait | Fail:
    if not asked.repeatable:
        return Fail(type(error)(f"{error.message}, which may have done it all the same; look, or run again later."))
    seconds = backoff(tried.times)
    if tried.times + 1 >= TRIES or tried.waited + seconds > MAX_WAIT:
        tries = f"{tried.times + 1} tries failed"
        return Fail(type(error)(f"{error.message}; {tries}; check the network and GitHub's status, and run again."))
    return Wait(seconds, error.message)


def _refusal(asked: Request, status: int, headers: Mapping[str, str], said: str) -> GitHubError:
    quoted = f" (“{said}”)" if said else ""
    if status == 401:
        return TokenRefused(
            f"GitHub refused the token in GITHUB_TOKEN or TRUNKLINE_TOKEN{quoted}: it is wrong, revoked or expired; "
            "set a valid one."
        )
    if status == 403 and "is locked" in said.lower():
        return Locked(f"The conversation is locked, and GitHub takes no {asked}{quoted}; unlock it to have a comment.")
    if status == 403:
        needs = headers.get("x-accepted-github-permissions", "pull_requests=write")
        return Forbidden(
            f"GitHub does not let this token do {asked}{quoted}: it needs `{needs}`; grant that under `permissions:` "
            "(the token of a fork's pull request is always read-only: use workflow_run)."
        )
    if status in {404, 410}:
        return NotFound(
            f"GitHub has nothing at {asked}{quoted}, or the token may not see it; "
            "check the repository, the number and the token's access."
        )
    if 300 <= status < 400:
        return Invalid(f"GitHub says that {asked} has moved ({status}); use the repository's new name.")
    return Invalid(f"GitHub does not accept {asked}{quoted}, status {status}; check what was asked for.")
