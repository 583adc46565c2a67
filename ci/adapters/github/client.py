"""The transport to GitHub: sends what `protocol` makes, waits and raises as it decides."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from ci.adapters.github import Broken, protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUNDS = 5  # of looking and making
TIMEOUT = (5.0, 30.0)  # seconds to connect, and between two bytes of an answer

T = TypeVar("T")


class Client:
    """A session with GitHub's API. `sleep` and `now` are in seconds."""

    def __init__(
        self,
        token: str | None,
        api: str = "https://api.github.com",
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._token = protocol.checked_token(token)
        self._api = protocol.checked_api(api)
        self._now = now
        self._session = requests.Session()
        self._session.auth = lambda prepared: prepared  # else a ~/.netrc would replace the token
        if protocol.is_loopback(self._api):
            self._session.trust_env = False  # a proxy of the environment would be sent the token, and in the clear
        self.sleep = sleep
        self._wrote: float | None = None

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: object = None,
        repeatable: bool = False,
    ) -> Any:
        """Do one thing and return the decoded answer; two writes are a pause apart. Raises GitHubError.

        `repeatable` says of a POST or PUT that it may be sent again where it is not known whether it was done.
        """
        url = self._api + path
        asked = protocol.request(method, url, token=self._token, params=params, body=body, repeatable=repeatable)
        return self._ask(asked).data if method == "GET" else self._write(asked)

    def graphql(self, mutation: str, variables: Mapping[str, object]) -> Any:
        """Send a mutation that done twice is done once, and return its `data`. Raises GitHubError."""
        body = {"query": mutation, "variables": variables}
        url = protocol.graphql(self._api)
        return self._write(protocol.request("POST", url, token=self._token, body=body, repeatable=True))["data"]

    def _write(self, asked: protocol.Request) -> Any:
        if self._wrote is not None and (early := self._wrote + protocol.PAUSE - self._now()) > 0:
            self.sleep(min(early, protocol.PAUSE))  # a clock that was set back makes no long wait
        try:
            return self._ask(asked).data
        finally:
            self._wrote = self._now()

    def every(self, path: str, params: Mapping[str, str | int] | None = None) -> list[Any]:
        """The items of a list, from all of its pages. Raises GitHubError."""
        items: list[Any] = []
        query = {"per_page": 100, **(params or {})}
        asked = protocol.request("GET", self._api + path, token=self._token, params=query)
        seen: set[str] = set()
        while True:
            seen.add(asked.url)
            page = self._ask(asked)
            if not isinstance(page.data, list) or page.next_page in seen:
                raise Broken(f"GitHub answered {asked} with something that is not a page of a list; run again later.")
            items += page.data
            if page.next_page is None:
                return items
            asked = protocol.request("GET", page.next_page, token=self._token)

    def once(self, there: Callable[[], T | None], make: Callable[[], T]) -> T:
        """`make` it unless it is `there`, and look again after an answer that did not come."""
        times = 0
        while True:
            if (found := there()) is not None:
                return found
            try:
                return make()
            except Broken:
                times += 1
                if times == ROUNDS:
                    raise
                self.sleep(protocol.backoff(times - 1))

    def _ask(self, asked: protocol.Request) -> protocol.Done:
        tried = protocol.Tried()
        while True:
            match self._answer(asked, tried):
                case protocol.Done() as done:
                    return done
                case protocol.Fail(error):
                    raise error
                case protocol.Wait(seconds, reason):
                    print(f"{reason}; trying again in {seconds:.0f} s", file=sys.stderr)
                    self.sleep(seconds)
                    tried = protocol.Tried(tried.times + 1, tried.waited + seconds)

    def _answer(self, asked: protocol.Request, tried: protocol.Tried) -> protocol.Done | protocol.Wait | protocol.Fail:
        try:
            # A redirect would turn a POST into a GET, or carry the request to another host.
            answer = self._session.request(
                asked.method, asked.url, headers=asked.headers, data=asked.body, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as fault:
            return protocol.lost(asked, type(fault).__name__, tried=tried)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return protocol.decide(asked, answer.status_code, headers, answer.content, tried=tried, now=self._now())
