"""What the stand-in for GitHub answers, and what it changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from graphql import graphql_sync

from tests.github import origin
from tests.github.contract import ContractBroken, graphql
from tests.github.state import Comment, Dispatch, Issue, Pull, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.github.contract import Contract
    from tests.github.state import Review, State

LONGEST = 65_536  # UTF-16 units of a comment
DOCS = "https://docs.github.com/rest"
HOME = "https://github.com"
Answer = tuple[int, dict[str, str], Any]
Query = dict[str, str]


class Routes:
    """The operations, each a method that is given its part of the path, the query and the body."""

    def __init__(self, state: State, held_to: Contract) -> None:
        self.state = state
        self.url = ""
        self._contract = held_to
        self._routes: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("GET", "", self._repository),
            ("GET", "/branches/(.+)", self._branch),
            ("GET", "/rules/branches/(.+)", self._rules),
            ("GET", "/pulls", self._pulls),
            ("POST", "/pulls", self._open),
            ("GET", r"/pulls/(\d+)", self._read),
            ("PATCH", r"/pulls/(\d+)", self._edit),
            ("PUT", r"/pulls/(\d+)/merge", self._merge),
            ("GET", r"/pulls/(\d+)/reviews", self._reviews),
            ("POST", r"/pulls/(\d+)/requested_reviewers", self._request),
            ("POST", r"/issues/(\d+)/labels", self._label),
            ("GET", r"/issues/(\d+)/comments", self._comments),
            ("POST", r"/issues/(\d+)/comments", self._create),
            ("GET|PATCH|DELETE", r"/issues/comments/(\d+)", self._one),
            ("GET", "/issues", self._issues),
            ("POST", "/issues", self._raise),
            ("PATCH", r"/issues/(\d+)", self._change),
            ("GET", "/commits/([0-9a-f]+)/pulls", self._of_commit),
            ("GET", "/commits/([0-9a-f]+)/check-runs", self._checks),
            ("GET", "/actions/workflows/([^/]+)/runs", self._runs),
            ("POST", "/actions/workflows/([^/]+)/dispatches", self._dispatch),
        )

    def do(self, method: str, path: str, query: Query, body: Any) -> Answer:
        """Answer a request that the contract allows."""
        self._refresh()
        base = f"/repos/{self.state.repo}"
        for methods, pattern, operation in self._routes:
            found = re.fullmatch(base + pattern, path)
            if found and re.fullmatch(methods, method):
                return operation(*found.groups(), method=method, path=path, query=query, body=body)
        return not_found()

    def mutate(self, asked: Any) -> Answer:
        """Answer a GraphQL request, which is held to GitHub's schema: 200 whatever happens."""
        self._refresh()
        done = graphql_sync(
            graphql(),
            asked["query"],
            root_value={"enablePullRequestAutoMerge": self._enable},
            variable_values=asked.get("variables"),
        )
        errors = []
        for error in done.errors or []:
            if not isinstance(error.original_error, _Refused):  # not ours: the document or its variables are wrong
                raise ContractBroken(f"POST /graphql: {error.message}")
            errors.append({"type": "UNPROCESSABLE", "path": error.path, "message": error.message})
        return 200, {}, {"data": done.data} | ({"errors": errors} if errors else {})

    def _refresh(self) -> None:
        """As GitHub notes pushes: to a branch, of what merges it, and that it was deleted."""
        if not self.state.origin:
            return
        for one in self._open_ones():
            now = origin.at(self.state, one.branch)
            one.sha = now or one.sha
            base = origin.at(self.state, one.base)
            if base and origin.contains(self.state, base, one.sha):
                one.state, one.merge_commit = "closed", base
            elif now is None:
                one.state = "closed"

    def _open_ones(self) -> list[Pull]:
        return [one for one in self.state.pulls if one.state == "open"]

    def _find(self, number: str) -> Pull | None:
        return next((one for one in self.state.pulls if one.number == int(number)), None)

    def _repository(self, **_: Any) -> Answer:
        example: dict[str, Any] = self._contract.example("full-repository-default-response")
        for key in ("parent", "source", "template_repository"):
            example.pop(key)  # of a fork; GitHub's example of them, as of this, lacks what its own schema requires
        now = {"default_branch": self.state.default_branch, "allow_auto_merge": self.state.allow_auto_merge}
        return 200, {}, {**example, "language": None, "full_name": self.state.repo, **now}

    def _branch(self, name: str, **_: Any) -> Answer:
        if name != self.state.default_branch:
            return not_found()
        return 200, {}, {**self._contract.example("branch-get"), "name": name, "protected": self.state.protected}

    def _rules(self, _name: str, *, query: Query, path: str, **_: Any) -> Answer:
        source = {"ruleset_source_type": "Repository", "ruleset_source": self.state.repo, "ruleset_id": 1}
        return self._page(
            path, query, [{"type": kind, **source, **_PARAMETERS.get(kind, {})} for kind in self.state.rules]
        )

    def _pulls(self, *, query: Query, path: str, **_: Any) -> Answer:
        state = query.get("state", "open")
        found = [one for one in self.state.pulls if state in {one.state, "all"}]
        if ":" in query.get("head", ""):  # GitHub does not filter by a head it cannot read
            found = [one for one in found if one.head == query["head"] and not one.fork_deleted]
        if "base" in query:
            found = [one for one in found if one.base == query["base"]]
        return self._page(path, query, [self._simple(one) for one in found])

    def _open(self, *, body: Any, **_: Any) -> Answer:
        owner, branch, base = self.state.repo.partition("/")[0], body["head"], body["base"]
        head = f"{owner}:{branch}"
        if base == branch:
            return invalid(f"No commits between {base} and {branch}")
        if any((one.head, one.base) == (head, base) for one in self._open_ones()):
            return invalid(f"A pull request already exists for {head}.")
        sha = origin.at(self.state, branch) if self.state.origin else "0" * 40
        if sha is None:
            return invalid(field="head")
        into = origin.at(self.state, base) if self.state.origin else None
        if into and origin.contains(self.state, into, sha):
            return invalid(f"No commits between {base} and {branch}")
        number = self._next()
        text = {"title": body["title"], "body": body.get("body")}
        made = Pull(number=number, sha=sha, head=head, base=base, author=self.state.login, **text)
        self.state.pulls.append(made)
        return 201, {}, self._whole(made)

    def _read(self, number: str, **_: Any) -> Answer:
        found = self._find(number)
        return (200, {}, self._whole(found)) if found else not_found()

    def _edit(self, number: str, *, body: Any, **_: Any) -> Answer:
        found = self._find(number)
        if found is None:
            return not_found()
        for key, value in body.items():
            setattr(found, key, value)
        return 200, {}, self._whole(found)

    def _merge(self, number: str, *, body: Any, **_: Any) -> Answer:
        found = self._find(number)
        if found is None:
            return not_found()
        if found.state != "open":
            return 405, {}, {"message": "Pull Request is not mergeable"}
        if (body or {}).get("sha", found.sha) != found.sha:
            return 409, {}, {"message": "Head branch was modified. Review and try the merge again."}
        words = f"Merge pull request #{number} from {found.head.replace(':', '/')}"
        made = origin.merge(self.state, found.base, found.sha, words)
        if made is None:
            return 405, {}, {"message": "Pull Request is not mergeable"}
        found.state, found.merge_commit, found.merged_by = "closed", made, self.state.login
        return 200, {}, {"sha": made, "merged": True, "message": "Pull Request successfully merged"}

    def _reviews(self, number: str, *, query: Query, path: str, **_: Any) -> Answer:
        found = self._find(number)
        return self._page(path, query, [self._review(one) for one in found.reviews]) if found else not_found()

    def _request(self, number: str, *, body: Any, **_: Any) -> Answer:
        found = self._find(number)
        if found is None:
            return not_found()
        asked = body.get("reviewers", [])
        if {found.author, *self.state.strangers} & set(asked):
            return invalid("Reviews may only be requested from collaborators, and not from the author.")
        found.reviewers += [one for one in asked if one not in found.reviewers]
        found.teams += [one for one in body.get("team_reviewers", []) if one not in found.teams]
        return 201, {}, self._simple(found)

    def _label(self, number: str, *, body: Any, **_: Any) -> Answer:
        found = self._find(number)
        if found is None:
            return not_found()
        found.labels += [one for one in body["labels"] if one not in found.labels]
        return 200, {}, [self._named(one) for one in found.labels]

    def _issues(self, *, query: Query, path: str, **_: Any) -> Answer:
        """Issues, newest first; to GitHub a pull request is one too."""
        state, wanted = query.get("state", "open"), {one for one in query.get("labels", "").split(",") if one}
        found = [one for one in self._numbered() if state in {one.state, "all"}]
        found = [one for one in found if wanted <= set(one.labels) and (self.state.has_issues or isinstance(one, Pull))]
        found.sort(key=lambda one: -one.number)
        return self._page(path, query, [self._issue(one) for one in found])

    def _raise(self, *, body: Any, **_: Any) -> Answer:
        if not self.state.has_issues:
            return 410, {}, {"message": "Issues has been disabled in this repository.", "documentation_url": DOCS}
        text = {"title": body["title"], "body": body.get("body"), "labels": body.get("labels", [])}
        made = Issue(number=self._next(), author=self.state.login, **text)
        self.state.issues.append(made)
        return 201, {}, self._issue(made)

    def _change(self, number: str, *, body: Any, **_: Any) -> Answer:
        found = next((one for one in self.state.issues if one.number == int(number)), None)
        if found is None:
            return not_found()
        for key, value in body.items():
            setattr(found, key, value)
        return 200, {}, self._issue(found)

    def _next(self) -> int:
        """The number of the next pull request or issue, which are counted together."""
        return max((one.number for one in self._numbered()), default=0) + 1

    def _numbered(self) -> list[Issue | Pull]:
        return [*self.state.pulls, *self.state.issues]

    def _of_commit(self, sha: str, *, query: Query, path: str, **_: Any) -> Answer:
        found = [one for one in self.state.pulls if sha in {one.sha, one.merge_commit}]
        return self._page(path, query, [self._simple(one) for one in found])

    def _checks(self, sha: str, *, query: Query, **_: Any) -> Answer:
        (example,) = self._contract.example("check-run-paginated")["check_runs"]
        wanted = query.get("check_name")
        found = [
            {**example, "id": at, "name": one.name, "head_sha": sha, "status": one.status, "conclusion": one.conclusion}
            for at, one in enumerate(self.state.checks)
            if one.sha == sha and wanted in {one.name, None}
        ]
        return 200, {}, {"total_count": len(found), "check_runs": found}

    def _runs(self, workflow: str, *, query: Query, **_: Any) -> Answer:
        if workflow not in self.state.workflows:
            return not_found()
        example = self._contract.example("workflow-run-paginated")["workflow_runs"][0]
        found = [
            {
                **example,
                "display_title": one.title,
                "status": one.status,
                "conclusion": one.conclusion,
                "head_branch": one.branch,
                "head_sha": one.sha,
                "event": one.event,
            }
            for one in self.state.runs
            if one.workflow == workflow
            and query.get("branch", one.branch) == one.branch
            and query.get("event", one.event) == one.event
        ]
        return 200, {}, {"total_count": len(found), "workflow_runs": found}

    def _dispatch(self, workflow: str, *, body: Any, **_: Any) -> Answer:
        if workflow not in self.state.workflows:
            return not_found()
        if body["ref"] != self.state.default_branch:
            return invalid(f"No ref found for: {body['ref']}")
        inputs = body.get("inputs", {})
        self.state.dispatches.append(Dispatch(workflow=workflow, ref=body["ref"], inputs=inputs))
        title = " ".join([workflow.partition(".")[0], *inputs.values()])
        sha = origin.at(self.state, body["ref"]) if self.state.origin else None
        self.state.runs.append(Run(workflow=workflow, title=title, branch=body["ref"], sha=sha or "0" * 40))
        if not body.get("return_run_details"):
            return 204, {}, None
        number = len(self.state.runs)
        where = f"{self.state.repo}/actions/runs/{number}"
        urls = {"run_url": f"https://api.github.com/repos/{where}", "html_url": f"{HOME}/{where}"}
        return 200, {}, {"workflow_run_id": number, **urls}

    def _comments(self, number: str, *, query: Query, path: str, **_: Any) -> Answer:
        if not any(one.number == int(number) for one in self._numbered()):
            return not_found()
        listed = [self._comment(one) for one in self.state.comments if one.number == int(number)]
        return self._page(path, query, listed)

    def _create(self, number: str, *, body: Any, **_: Any) -> Answer:
        found = next((one for one in self._numbered() if one.number == int(number)), None)
        if found is None:
            return not_found()
        if isinstance(found, Pull) and found.locked:
            return _locked()
        if _too_long(body["body"]):
            return invalid()
        last = max((one.id for one in self.state.comments), default=0)
        made = Comment(id=last + 1, number=int(number), author=self.state.login, body=body["body"])
        self.state.comments.append(made)
        data = self._comment(made)
        return 201, {"location": data["url"]}, data

    def _one(self, key: str, *, method: str, body: Any, **_: Any) -> Answer:
        found = next((one for one in self.state.comments if one.id == int(key)), None)
        if found is None:
            return not_found()
        if method != "GET" and any(pull.locked for pull in self.state.pulls if pull.number == found.number):
            return _locked()
        if method == "DELETE":
            self.state.comments.remove(found)
            return 204, {}, None
        if method == "PATCH":
            if _too_long(body["body"]):
                return invalid()
            found.body = body["body"]
        return 200, {}, self._comment(found)

    def _enable(self, _info: Any, **given: Any) -> Any:
        """`enablePullRequestAutoMerge`."""
        asked = given["input"]
        found = next((one for one in self.state.pulls if _node(one) == asked["pullRequestId"]), None)
        if found is None or found.state != "open":
            raise _Refused("Could not resolve to a node with the global id.")
        if asked.get("expectedHeadOid", found.sha) != found.sha:
            raise _Refused("The head of the pull request is not the expected one.")
        if not self.state.allow_auto_merge:
            raise _Refused("Pull request Auto merge is not allowed for this repository")
        if not (self.state.protected or self.state.rules):
            raise _Refused("Pull request Pull request is in clean status")
        found.auto_merge = True
        return {"clientMutationId": None}

    def _page(self, path: str, query: Query, items: Sequence[Any]) -> Answer:
        size = min(int(query.get("per_page", "30")), self.state.page_size)
        page = int(query.get("page", "1"))
        headers = {}
        if page * size < len(items):
            following = urlencode({**query, "page": page + 1})
            headers["link"] = f'<{self.url}{path}?{following}>; rel="next", <{self.url}{path}?page=99>; rel="last"'
        return 200, headers, list(items[(page - 1) * size : page * size])

    def _comment(self, one: Comment) -> dict[str, Any]:
        url = f"https://api.github.com/repos/{self.state.repo}/issues/comments/{one.id}"
        example: dict[str, Any] = self._contract.example("issue-comment")
        return {**example, "id": one.id, "body": one.body, "user": self._user(one.author), "url": url}

    def _issue(self, one: Issue | Pull) -> dict[str, Any]:
        place = f"{self.state.repo}/{'pull' if isinstance(one, Pull) else 'issues'}/{one.number}"
        told = {
            **self._contract.example("issue"),
            "number": one.number,
            "title": one.title,
            "body": one.body,
            "state": one.state,
            "user": self._user(one.author),
            "labels": [self._named(label) for label in one.labels],
            "html_url": f"{HOME}/{place}",
        }
        if isinstance(one, Pull):
            url = f"{HOME}/{place}"
            return told | {"pull_request": {"url": url, "html_url": url, "diff_url": url, "patch_url": url}}
        del told["pull_request"]  # which GitHub's example has
        # GitHub answers null where there is no reason, which its own description denies.
        return told | {"state_reason": one.state_reason} if one.state_reason else told

    def _simple(self, one: Pull) -> dict[str, Any]:
        return self._pull(one, self._contract.example("pull-request-simple-items")[0])

    def _whole(self, one: Pull) -> dict[str, Any]:
        merged_by = self._user(one.merged_by) if one.merged_by else None
        example = self._contract.example("pull-request")
        return {**self._pull(one, example), "merged": one.merge_commit is not None, "merged_by": merged_by}

    def _pull(self, one: Pull, example: dict[str, Any]) -> dict[str, Any]:
        owner, _, branch = one.head.partition(":")
        head = {**example["head"], "label": one.head, "ref": branch, "sha": one.sha}
        head["user"] = {**head["user"], "login": owner}
        if one.fork_deleted:
            head |= {"repo": None, "user": None}
        auto = {"enabled_by": self._user(self.state.login), "merge_method": "merge"}
        team = {"description": None, "privacy": "closed", "permission": "pull", "parent": None}
        return {
            **example,
            "number": one.number,
            "node_id": _node(one),
            "html_url": f"{HOME}/{self.state.repo}/pull/{one.number}",
            "state": one.state,
            "title": one.title,
            "body": one.body,
            "user": self._user(one.author),
            "labels": [self._named(label) for label in one.labels],
            "head": head,
            "base": {**example["base"], "ref": one.base},
            "merged_at": "2026-11-21T00:00:00Z" if one.merge_commit else None,
            "merge_commit_sha": one.merge_commit,
            "requested_reviewers": [self._user(who) for who in one.reviewers],
            "requested_teams": [{**_TEAM, **team, "name": slug, "slug": slug} for slug in one.teams],
            "auto_merge": {**auto, "commit_title": "", "commit_message": ""} if one.auto_merge else None,
        }

    def _review(self, one: Review) -> dict[str, Any]:
        example: dict[str, Any] = self._contract.example("pull-request-review-items")[0]
        return {**example, "state": one.state, "user": self._user(one.user) if one.user else None}

    def _named(self, label: str) -> dict[str, Any]:
        return {**self._contract.example("label-items")[0], "name": label}

    def _user(self, login: str) -> dict[str, Any]:
        return {**self._contract.example("issue-comment")["user"], "login": login}


_TEAM = {
    "id": 1,
    "node_id": "T_1",
    "url": "https://api.github.com/teams/1",
    "html_url": f"{HOME}/orgs/octo/teams/1",
    "members_url": "https://api.github.com/teams/1/members{/member}",
    "repositories_url": "https://api.github.com/teams/1/repos",
    "type": "organization",
    "organization_id": 1,
}
_PARAMETERS: dict[str, Any] = {
    "required_status_checks": {
        "parameters": {
            "required_status_checks": [{"context": "verdict"}],
            "strict_required_status_checks_policy": False,
        }
    }
}


class _Refused(Exception):
    """What GitHub would not do, in its words."""


def not_found() -> Answer:
    """404."""
    return 404, {}, {"message": "Not Found", "documentation_url": DOCS}


def invalid(message: str | None = None, field: str = "base") -> Answer:
    """422, with the reason where GitHub gives one."""
    error = {"resource": "PullRequest", "field": field, "code": "custom" if message else "invalid"}
    error |= {"message": message} if message else {}
    return 422, {}, {"message": "Validation Failed", "errors": [error], "documentation_url": DOCS}


def _node(one: Pull) -> str:
    return f"PR_{one.number}"


def _locked() -> Answer:
    return 403, {}, {"message": "Unable to create comment because issue is locked."}


def _too_long(body: str) -> bool:
    return not body or len(body.encode("utf-16-le")) // 2 > LONGEST
