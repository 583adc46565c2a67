"""Pull requests on GitHub. Where it is not known whether a write was done, it is looked up before it is sent again."""

from __future__ import annotations

import base64
import os
import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from ci.adapters import forge
from ci.adapters.github import Forbidden, Invalid, protocol
from ci.adapters.github.client import Client
from ci.adapters.github.comments import BOT, Thread
from ci.adapters.github.issues import Issues
from ci.adapters.remote import Remote
from ci.core.errors import ConfigurationError
from ci.core.forge import Approval, Ended, Pull

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LOOKS = 3  # at a list that may lag behind what was written
API = "https://api.github.com"
SERVER = "https://github.com"
UNDECIDED = frozenset({"COMMENTED", "PENDING"})  # reviews that leave the one before them standing
WAITING = frozenset({"requested", "queued", "pending", "waiting", "in_progress"})
ENDED = frozenset({"success", "failure", "timed_out"})
AUTO_MERGE = """
mutation ($pull: ID!, $head: GitObjectID!) {
  enablePullRequestAutoMerge(input: {pullRequestId: $pull, expectedHeadOid: $head}) { clientMutationId }
}
"""

T = TypeVar("T")


class GitHub:
    """The pull requests of one repository. `login` is who our comments are written as."""

    name = "GitHub"

    def __init__(self, client: Client, repo: str, remote: Remote, login: str = BOT) -> None:
        self.client = client
        self.repo = repo
        self.remote = remote
        self._login = login
        self._path = f"/repos/{repo}"
        self._default: str | None = None

    @classmethod
    def of_environment(cls, root: Path) -> GitHub:
        """The repository and the token that the environment names. Raises ConfigurationError or TokenMissing."""
        repo = os.environ.get("GITHUB_REPOSITORY") or ""
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
            raise ConfigurationError(f"GITHUB_REPOSITORY is {repo[:80]!r}, but has to be OWNER/NAME; set it to that.")
        token = protocol.checked_token(forge.token())
        client = Client(token, os.environ.get("GITHUB_API_URL") or API)
        server = protocol.checked_server(os.environ.get("GITHUB_SERVER_URL") or SERVER)
        remote = Remote(root, f"{server}/{repo}.git", admission(server, token))
        return cls(client, repo, remote, os.environ.get("TRUNKLINE_BOT") or BOT)

    def sync(self) -> None:
        """What is merged is merged on GitHub."""

    def base(self) -> str:
        """See Forge."""
        if self._default is None:
            self._default = str(self.client.send("GET", self._path)["default_branch"])
        return self._default

    def find(self, branch: str) -> Pull | None:
        """See Forge."""
        found = [one for one in self._pulls(branch, "open") if one["base"]["ref"] == self.base()]
        return _pull(min(found, key=lambda one: int(one["number"]))) if found else None

    def turned_down(self, branch: str, commit: str) -> Pull | None:
        """See Forge."""
        for one in self._pulls(branch, "closed"):
            if one["merged_at"] is None and one["head"]["sha"] == commit:
                return _pull(one)
        return None

    def ended(self, branch: str) -> Ended | None:
        """See Forge."""
        newest = max(self._pulls(branch, "closed"), key=lambda one: int(one["number"]), default=None)
        if newest is None:
            return None
        said = self.client.every(f"{self._path}/issues/{newest['number']}/comments")
        people = [one for one in said if one["user"] and one["user"]["type"] != "Bot"]
        last = next((one for one in reversed(people) if one["user"]["login"] != self._login), None)
        return Ended(
            pull=_pull(newest),
            merged=newest["merged_at"] is not None,
            labels=tuple(one["name"] for one in newest["labels"]),
            comment=f"{last['user']['login']}: {last['body']}" if last else None,
        )

    def conclusion(self, commit: str, check: str) -> str | None:
        """See Forge. GitHub gives the newest run of each name, its own default."""
        path = f"{self._path}/commits/{commit}/check-runs"
        found = self.client.send("GET", path, params={"check_name": check})["check_runs"]
        newest = max(found, key=lambda one: int(one["id"]), default=None)
        return None if newest is None else newest["conclusion"]

    def open(self, branch: str, base: str, title: str, body: str) -> Pull:
        """See Forge."""
        sent = {"title": title, "head": branch, "base": base, "body": body}

        def post() -> Pull:
            try:
                return _pull(self.client.send("POST", f"{self._path}/pulls", body=sent))
            except Invalid:
                # Another was faster, or an earlier try of ours did it; the list may lag behind that.
                there = self._seen(lambda: self.find(branch), lambda found: found is not None)
                if there is None:
                    raise
                return there

        return self.client.once(lambda: self.find(branch), post)

    def update(self, pull: Pull, title: str, body: str) -> Pull:
        """See Forge."""
        return _pull(self.client.send("PATCH", self._of(pull), body={"title": title, "body": body}))

    def label(self, pull: Pull, labels: Sequence[str]) -> None:
        """See Forge."""
        have = {one["name"].casefold() for one in self._read(pull)["labels"]}
        if lacking := [label for label in labels if label.casefold() not in have]:
            path = f"{self._path}/issues/{pull.number}/labels"
            self.client.send("POST", path, body={"labels": lacking}, repeatable=True)

    def request_review(self, pull: Pull, reviewers: Sequence[str]) -> None:
        """See Forge."""
        now = self._read(pull)
        people = {one["login"] for one in now["requested_reviewers"]} | {now["user"]["login"]}
        people |= {one["user"]["login"] for one in self._reviews(pull.number) if one["user"]}
        done = {who.casefold() for who in people} | {f"/{one['slug']}".casefold() for one in now["requested_teams"]}
        asked = [who for who in reviewers if _key(who) not in done]
        body = {
            "reviewers": [who for who in asked if "/" not in who],
            "team_reviewers": [who.partition("/")[2] for who in asked if "/" in who],
        }
        if asked:
            self.client.send("POST", f"{self._of(pull)}/requested_reviewers", body=body, repeatable=True)

    def auto_merge(self, pull: Pull) -> None:
        """See Forge. One that could be merged now is merged, as GitHub takes no wish for what need not wait."""
        now = self._seen(lambda: self._read(pull), lambda found: found["head"]["sha"] == pull.head_commit)
        if now["merged"] or now["auto_merge"] is not None:
            return
        if now["head"]["sha"] != pull.head_commit:
            print(
                f"#{pull.number} will not be merged by itself: its branch was pushed to since, and that was not "
                "verified; look at who did, and run this again.",
                file=sys.stderr,
            )
            return
        try:
            self.client.graphql(AUTO_MERGE, {"pull": now["node_id"], "head": pull.head_commit})
        except (Invalid, Forbidden) as refused:
            if "clean status" in refused.message:
                self.merge(pull)
                return
            print(
                f"#{pull.number} will not be merged by itself: {refused.message} "
                f"It needs “Allow auto-merge” in the repository's settings and a required check on {pull.base}.",
                file=sys.stderr,
            )

    def comment(self, pull: Pull, marker: str, body: str) -> None:
        """See Forge."""
        Thread(self.client, self.repo, pull.number, self._login).upsert(marker, body)

    def close(self, pull: Pull, words: str) -> None:
        """See Forge."""
        self.comment(pull, "<!-- trunkline:closed -->", words)
        self.client.send("PATCH", self._of(pull), body={"state": "closed"})

    def merge(self, pull: Pull) -> str:
        """See Forge."""

        def there() -> str | None:
            now = self._read(pull)
            return str(now["merge_commit_sha"]) if now["merged"] else None

        def put() -> str:
            path = f"{self._of(pull)}/merge"
            return str(self.client.send("PUT", path, body={"sha": pull.head_commit})["sha"])

        return self.client.once(there, put)

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str], alike: Callable[[str], bool]) -> str:
        """See Forge. What counts is a run whose name says the same: one that goes on, or that came to an end itself."""
        path = f"{self._path}/actions/workflows/{workflow}"
        title = [workflow.partition(".")[0], *inputs.values()]

        def running() -> str | None:
            head = f"refs/heads/{ref}"
            newest = self.remote.at(head).get(head)  # asked each time: what is started now is started on that
            query: dict[str, str | int] = {"event": "workflow_dispatch", "branch": ref}
            for run in self.client.send("GET", f"{path}/runs", params=query)["workflow_runs"]:
                if not set(title) <= set(run["display_title"].split()):
                    continue
                if run["head_sha"] != newest and not alike(run["head_sha"]):
                    continue
                if run["status"] in WAITING:
                    return f"{workflow} is running for it already: {run['html_url']}"
                if run["conclusion"] in ENDED:  # again would be the same, at the price of a GPU
                    return f"{workflow} ran for it, and ended with {run['conclusion']}: {run['html_url']}"
            return None

        def start() -> str:
            body = {"ref": ref, "inputs": dict(inputs), "return_run_details": True}
            done = self.client.send("POST", f"{path}/dispatches", body=body)
            return f"{workflow} was started on {ref}" + (f": {done['html_url']}" if done else "")

        return self.client.once(running, start)

    def issue(self, marker: str, title: str, body: str, labels: Sequence[str]) -> str | None:
        """See Forge."""
        return Issues(self.client, self.repo, self._login).open(marker, title, body, labels)

    def follow(self, marker: str, labels: Sequence[str], words: str, *, over: bool) -> None:
        """See Forge."""
        Issues(self.client, self.repo, self._login).follow(marker, labels, words, over=over)

    def approval(self, commit: str) -> Approval | None:
        """See Forge."""
        found = [one for one in self.client.every(f"{self._path}/commits/{commit}/pulls") if one["merged_at"]]
        found = [one for one in found if one["base"]["ref"] == self.base()]
        if not found:
            return None
        # A commit can be in several; the one that made it comes first.
        number = min(found, key=lambda one: (one["merge_commit_sha"] != commit, one["number"]))["number"]
        pull = self.client.send("GET", f"{self._path}/pulls/{number}")
        verdicts: dict[str, str] = {}
        for review in self._reviews(number):
            if review["user"] and review["state"] not in UNDECIDED:
                verdicts[review["user"]["login"]] = review["state"]
        approved = sorted(who for who, state in verdicts.items() if state == "APPROVED")
        merged_by = (pull["merged_by"] or {}).get("login")
        return Approval(pull=number, url=pull["html_url"], merged_by=merged_by, approved_by=tuple(approved))

    def _pulls(self, branch: str, state: str) -> list[Any]:
        head = f"{self.repo.partition('/')[0]}:{branch}"
        found = self.client.every(f"{self._path}/pulls", {"state": state, "head": head})
        return [one for one in found if one["head"]["ref"] == branch]

    def _reviews(self, number: int) -> list[Any]:
        """Oldest first."""
        return self.client.every(f"{self._path}/pulls/{number}/reviews")

    def _read(self, pull: Pull) -> Any:
        return self.client.send("GET", self._of(pull))

    def _seen(self, look: Callable[[], T], is_new: Callable[[T], bool]) -> T:
        """What `look` gives once GitHub has caught up with what was written, or after some looks."""
        for times in range(LOOKS):
            if is_new(found := look()):
                break
            self.client.sleep(protocol.backoff(times))
        return found

    def _of(self, pull: Pull) -> str:
        return f"{self._path}/pulls/{pull.number}"


def admission(server: str, token: str) -> dict[str, str]:
    """What lets git in: the token as a header of requests to `server` alone, in the environment and never in a URL."""
    told = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    header = f"http.{server}/.extraheader"
    secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    # An empty value takes back what a checkout left, and the helpers that would ask a person.
    settings = [(header, ""), (header, f"AUTHORIZATION: basic {secret}"), ("credential.helper", "")]
    env = {"GIT_CONFIG_COUNT": str(told + len(settings))}
    for at, (key, value) in enumerate(settings, start=told):
        env |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    return env


def _pull(data: Any) -> Pull:
    return Pull(
        number=data["number"],
        branch=data["head"]["ref"],
        base=data["base"]["ref"],
        title=data["title"],
        body=(data["body"] or "").replace("\r\n", "\n"),
        url=data["html_url"],
        head_commit=data["head"]["sha"],
    )


def _key(reviewer: str) -> str:
    """A person's login, or `/slug` of a team, whoever's it is."""
    owner, slash, slug = reviewer.partition("/")
    return f"/{slug}".casefold() if slash else owner.casefold()
