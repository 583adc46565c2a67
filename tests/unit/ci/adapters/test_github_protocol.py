"""What the protocol makes of requests and answers, case by case."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    protocol,
)
from ci.adapters.github.protocol import Done, Fail, Tried, Wait
from ci.core.errors import ConfigurationError, EnvironmentFault

API = "https://api.github.com"
NOW = 1_800_000_000.0
SECRET = "ghs_topsecret"
UNFIT = [
    "https://ghe.example?x=pw",
    "https://ghe.example/#pw",
    "https://ghe.example:99999",
    "https://ghe.example:0",
    "https://ghe.example:port",
    "https://[::1",
    "https://ghe.example/api v3",
    "https://evil.example\\ghe.example",
]


def ask(method: str = "GET", url: str = f"{API}/repos/o/r/pulls") -> protocol.Request:
    return protocol.request(method, url, token=SECRET)


def answer(
    status: int,
    headers: dict[str, str] | None = None,
    body: object = None,
    *,
    method: str = "GET",
    tried: Tried | None = None,
) -> Done | Wait | Fail:
    content = b"" if body is None else json.dumps(body).encode()
    return protocol.decide(ask(method), status, headers or {}, content, tried=tried or Tried(), now=NOW)


def error(decided: Done | Wait | Fail) -> GitHubError:
    assert isinstance(decided, Fail)
    return decided.error


def test_a_request_says_who_asks_and_keeps_the_token_in_one_header() -> None:
    made = protocol.request("POST", f"{API}/x", token=SECRET, params={"head": "o:a b&c"}, body={"body": "ü"})
    assert made.url == f"{API}/x?head=o%3Aa+b%26c"
    assert made.headers["authorization"] == f"Bearer {SECRET}"
    assert json.loads(made.body or b"") == {"body": "ü"}
    assert SECRET not in repr(made) + str(made) + made.url


@pytest.mark.parametrize("token", [None, "", "  \n"])
def test_no_token_is_told(token: str | None) -> None:
    with pytest.raises(TokenMissing, match="GITHUB_TOKEN is not set"):
        protocol.checked_token(token)


def test_a_token_that_cannot_be_sent_is_not_shown() -> None:
    assert protocol.checked_token(f" {SECRET}\n") == SECRET
    with pytest.raises(TokenMissing) as told:
        protocol.checked_token(f"{SECRET}\n{SECRET}")
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    "url", ["http://ghe.example", "https://user:pw@ghe.example", "ftp://x", "", "https://", *UNFIT]
)
def test_the_token_is_sent_to_no_unsafe_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="GITHUB_API_URL") as told:
        protocol.checked_api(url)
    assert "pw" not in str(told.value)


def test_safe_addresses() -> None:
    assert protocol.checked_api("https://ghe.example/api/v3/") == "https://ghe.example/api/v3"
    assert protocol.checked_api("http://127.0.0.1:8080") == "http://127.0.0.1:8080"


@pytest.mark.parametrize("status", [200, 201])
def test_done(status: int) -> None:
    assert answer(status, body=[1]) == Done([1])


def test_done_without_content() -> None:
    assert answer(204) == Done(None)


@pytest.mark.parametrize(
    ("link", "following"),
    [
        (f'<{API}/x?page=2>; rel="next", <{API}/x?page=9>; rel="last"', f"{API}/x?page=2"),
        (f'<{API}/x?page=1>; rel="prev", <{API}/x?a=1,2&page=3>; rel="next"', f"{API}/x?a=1,2&page=3"),
        (f'<{API}/x?page=2>; title="more"; rel="next"', f"{API}/x?page=2"),
        (f'<{API}/x?page=2>; rel="last next"', f"{API}/x?page=2"),
        (f'<{API}/x?page=1>; rel="prev"', None),
        (f'<{API}/x?page=1>; rel="nextish"', None),
        ("", None),
    ],
)
def test_the_next_page(link: str, following: str | None) -> None:
    assert answer(200, {"link": link}, []) == Done([], following)


@pytest.mark.parametrize("same", ["https://API.github.com/x?page=2", "https://api.github.com:443/x?page=2"])
def test_a_host_written_otherwise_is_the_same(same: str) -> None:
    assert answer(200, {"link": f'<{same}>; rel="next"'}, []) == Done([], same)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "http://api.github.com",
        "https://api.github.com:444",
        "https://api.github.com:99999",
        "https://me@api.github.com",
        "https://[api",
    ],
)
def test_a_next_page_elsewhere_is_not_followed_and_not_ignored(elsewhere: str) -> None:
    assert "another host" in str(error(answer(200, {"link": f'<{elsewhere}/x?page=2>; rel="next"'}, [])))


def test_an_answer_that_is_not_json() -> None:
    decided = protocol.decide(ask(), 200, {}, b"<html>", tried=Tried(), now=NOW)
    assert isinstance(error(decided), Broken)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"retry-after": "7"}, None, 7),
        (403, {"retry-after": "7"}, None, 7),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 30)}, None, 31),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) - 30)}, None, 1),
        (403, {}, {"message": "You have exceeded a secondary rate limit"}, 60),
        (429, {}, None, 60),
    ],
)
def test_a_rate_limit_is_waited_for_whatever_was_asked(
    method: str, status: int, headers: dict[str, str], body: object, seconds: float
) -> None:
    decided = answer(status, headers, body, method=method)
    assert isinstance(decided, Wait)
    assert decided.seconds == seconds
    assert "rate limit" in decided.reason


def test_an_unexplained_limit_is_waited_for_longer_each_time() -> None:
    first, second = answer(429), answer(429, tried=Tried(1, 60))
    assert isinstance(first, Wait)
    assert isinstance(second, Wait)
    assert (first.seconds, second.seconds) == (60, 120)


def test_a_limit_that_lasts_too_long_says_until_when() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 3000)}
    failure = error(answer(403, headers))
    assert isinstance(failure, RateLimited)
    assert "until 2027-01-15 08:50 UTC" in failure.message
    assert "run it again after that" in failure.message


@pytest.mark.parametrize("value", ["9" * 12, "9" * 400])
@pytest.mark.parametrize("name", ["retry-after", "x-ratelimit-reset"])
def test_a_wait_without_end_is_told_as_one(name: str, value: str) -> None:
    failure = error(answer(429, {"x-ratelimit-remaining": "0", name: value}))
    assert isinstance(failure, RateLimited)
    assert "until 2028-01-16" in failure.message


def test_the_wait_is_capped_over_all_tries() -> None:
    assert isinstance(answer(429, {"retry-after": "100"}, tried=Tried(2, 200)), Wait)
    assert isinstance(error(answer(429, {"retry-after": "101"}, tried=Tried(2, 200))), RateLimited)


def test_writing_too_quickly_is_waited_for_and_other_422_is_not() -> None:
    said = {"message": "Validation Failed", "errors": [{"message": "was submitted too quickly"}]}
    decided = answer(422, {}, said, method="POST")
    assert isinstance(decided, Wait)
    assert decided.seconds == 60
    assert isinstance(answer(422, {}, {"message": "Validation Failed"}, method="POST"), Fail)


def test_a_request_that_timed_out_is_asked_again_where_that_is_safe() -> None:
    assert answer(408, method="PATCH") == Wait(1, "GitHub answered 408 to PATCH /repos/o/r/pulls")
    assert type(error(answer(408, method="POST"))) is Broken


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_broken_answer_is_asked_for_again_where_that_is_safe(method: str) -> None:
    waits = [answer(502, method=method, tried=Tried(times, 0)) for times in range(5)]
    assert [wait.seconds for wait in waits if isinstance(wait, Wait)] == [1, 2, 4, 8]
    assert "5 tries failed" in str(error(waits[-1]))


def test_a_post_is_never_repeated_blindly() -> None:
    assert type(error(answer(502, method="POST"))) is Broken
    decided = protocol.lost(ask("POST"), "ReadTimeout", tried=Tried())
    assert isinstance(decided, Fail)
    assert isinstance(decided.error, Unreachable)
    assert "may have done it" in decided.error.message


def test_a_lost_get_is_asked_again_and_then_names_the_host() -> None:
    assert isinstance(protocol.lost(ask(), "ConnectTimeout", tried=Tried()), Wait)
    last = protocol.lost(ask(), "ConnectTimeout", tried=Tried(4, 15))
    assert isinstance(last, Fail)
    assert "api.github.com" in last.error.message
    assert "check the network" in last.error.message


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "words"),
    [
        (401, {}, {"message": "Bad credentials"}, TokenRefused, "TRUNKLINE_TOKEN (“Bad credentials”)"),
        (403, {"x-accepted-github-permissions": "issues=write"}, {"message": "no"}, Forbidden, "needs `issues=write`"),
        (403, {}, {"message": "Unable to create comment because issue is locked."}, Locked, "unlock it"),
        (403, {}, None, Forbidden, "needs `pull_requests=write`"),
        (404, {}, None, NotFound, "check the repository"),
        (410, {}, {"message": "Gone"}, NotFound, "(“Gone”)"),
        (301, {}, None, Invalid, "has moved (301)"),
        (
            422,
            {},
            {"message": "Validation Failed", "errors": [{"field": "body", "code": "too_long"}, "x", {"message": "y"}]},
            Invalid,
            "“Validation Failed: body too_long: x: y”",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    status: int, headers: dict[str, str], body: object, kind: type[GitHubError], words: str
) -> None:
    failure = error(answer(status, headers, body))
    assert type(failure) is kind
    assert words in failure.message
    assert failure.exit_code == EnvironmentFault.exit_code == 2


@given(
    status=st.integers(200, 599),
    body=st.binary(max_size=40)
    | st.builds(lambda data: json.dumps(data).encode(), st.dictionaries(st.text(), st.text())),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "link"]), st.text(max_size=9)
    ),
    times=st.integers(0, 6),
    waited=st.floats(0, 400),
)
def test_any_answer_is_decided(status: int, body: bytes, headers: dict[str, str], times: int, waited: float) -> None:
    decided = protocol.decide(ask(), status, headers, body, tried=Tried(times, waited), now=NOW)
    if isinstance(decided, Wait):
        assert decided.seconds + waited <= protocol.MAX_WAIT
    if isinstance(decided, Fail):
        assert "\n" not in decided.error.message
        assert SECRET not in decided.error.message


def test_what_is_repeatable_is_repeated_also_where_it_is_a_post() -> None:
    given = protocol.request("POST", f"{API}/x", token=SECRET, repeatable=True)
    assert protocol.decide(given, 502, {}, b"", tried=Tried(), now=NOW) == Wait(1, "GitHub answered 502 to POST /x")


@pytest.mark.parametrize(
    ("api", "address"),
    [(API, f"{API}/graphql"), ("https://ghe.example/api/v3", "https://ghe.example/api/graphql")],
)
def test_graphql_is_beside_the_rest_api(api: str, address: str) -> None:
    assert protocol.graphql(api) == address


def graphql(*errors: dict[str, str], headers: dict[str, str] | None = None) -> Done | Wait | Fail:
    asked = protocol.request("POST", protocol.graphql(API), token=SECRET, body={}, repeatable=True)
    content = json.dumps({"data": None, "errors": errors}).encode()
    return protocol.decide(asked, 200, headers or {}, content, tried=Tried(), now=NOW)


@pytest.mark.parametrize(
    ("kind", "failure"),
    [("FORBIDDEN", Forbidden), ("NOT_FOUND", NotFound), ("UNPROCESSABLE", Invalid), ("", Invalid)],
)
def test_an_error_of_graphql_comes_with_status_200(kind: str, failure: type[GitHubError]) -> None:
    told = error(graphql({"type": kind, "message": "in clean status"}))
    assert type(told) is failure
    assert "“in clean status”" in told.message


def test_a_limit_of_graphql_is_waited_for() -> None:
    assert graphql({"type": "RATE_LIMITED", "message": "no"}, headers={"retry-after": "5"}) == Wait(
        5, "GitHub's rate limit is reached (GraphQL)"
    )


def test_errors_in_an_answer_of_rest_are_none() -> None:
    assert answer(200, body={"errors": []}) == Done({"errors": []})


def test_the_address_of_repositories_is_held_to_the_same() -> None:
    assert protocol.checked_server("https://github.com/") == "https://github.com"
    for url in UNFIT:
        with pytest.raises(ConfigurationError, match="GITHUB_SERVER_URL"):
            protocol.checked_server(url)
