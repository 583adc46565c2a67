"""Alerts reach real servers; what fails is tried again where that is safe, and no secret is told."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import pytest

from ci.adapters import alerts as door
from ci.core import alerts
from ci.core.alerts import Alerts
from ci.core.drift.rules import Alert
from ci.core.errors import ConfigurationError, EnvironmentFault
from tests.receivers import Hook, Mail, certificate, hook, mail
from tests.retraining import drifted, finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


HOOK, SLACK = Alert(kind="webhook", url_from="DRIFT_URL"), Alert(kind="slack", url_from="DRIFT_URL")
MAIL = Alert(kind="email", server_from="DRIFT_MAIL", to=["dana@example.com", "gone@example.com"])


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with hook() as made:
        monkeypatch.setenv("DRIFT_URL", made.url)
        yield made


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times: list[float] = []
    monkeypatch.setattr("ci.adapters.alerts.time.sleep", times.append)
    return times


def send(channel: Alert) -> alerts.Message:
    odd = finding("unseen", "<!channel>", "2 % of <!channel> & more\r\nBcc: x@y.z")
    (message,) = alerts.due(drifted(odd), Alerts(model="churn"), [channel])
    door.send(channel, message, None)  # type: ignore[arg-type]
    return message


def test_a_webhook_gets_json_with_a_signature_of_its_very_bytes(there: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFT_URL_SECRET", "k")
    message = send(HOOK)
    (post,) = there.posts
    body = json.loads(post.body)
    assert (body["status"], body["model"], len(body["alarms"])) == ("firing", "churn", 3)
    assert post.headers["x-trunkline-delivery"] == message.id == body["id"]
    told = hmac.new(b"k", post.body, hashlib.sha256).hexdigest()
    assert post.headers["x-trunkline-signature"] == f"sha256={told}"
    assert post.headers["content-type"] == "application/json"
    monkeypatch.delenv("DRIFT_URL_SECRET")
    send(HOOK)
    assert "x-trunkline-signature" not in there.posts[1].headers


def test_a_webhook_is_tried_again_under_the_same_id(there: Hook, slept: list[float]) -> None:
    there.answers = [(500, {}), (0, {})]
    send(HOOK)
    assert len({post.headers["x-trunkline-delivery"] for post in there.posts}) == 1
    assert (len(there.posts), slept) == (3, [1.0, 4.0])
    there.answers = [(429, {"retry-after": "7"})]
    send(HOOK)
    assert slept[2:] == [7.0]


def test_slack_gets_text_that_pings_nobody_and_never_twice_where_that_is_not_known(
    there: Hook, slept: list[float]
) -> None:
    send(SLACK)
    text = json.loads(there.posts[0].body)["text"]
    assert text.startswith("*churn drifted: 3 alarms*\n• ")
    assert "2 % of &lt;!channel&gt; &amp; more Bcc: x@y.z" in text
    there.answers = [(503, {}), (0, {})]
    with pytest.raises(EnvironmentFault, match="gave no answer"):
        send(SLACK)
    assert (len(there.posts), slept) == (3, [1.0])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {}), "answered 404, so the alert was not told; mend what the variable holds"),
        ((302, {"location": "http://127.0.0.1:1/"}), "answered 302, and what is sent follows no redirect"),
    ],
)
def test_what_no_other_try_would_mend_is_told_at_once_and_tells_no_address(
    there: Hook, answer: tuple[int, dict[str, str]], words: str
) -> None:
    there.answers = [answer]
    with pytest.raises(EnvironmentFault) as told:
        send(HOOK)
    assert words in told.value.message
    assert "DRIFT_URL (127.0.0.1)" in told.value.message
    assert "secret-path" not in told.value.message
    assert len(there.posts) == 1


def test_nobody_there_is_tried_and_tells_no_address(
    monkeypatch: pytest.MonkeyPatch, slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRIFT_URL", "http://u:hidden@127.0.0.1:1/secret-path")
    with pytest.raises(EnvironmentFault) as told:
        send(SLACK)
    assert slept == [1.0, 4.0]
    said = told.value.message + capsys.readouterr().err
    assert "hidden" not in said
    assert "secret-path" not in said


@pytest.mark.parametrize("address", ["", "hooks.example/x", "ftp://example.com/x", "http://[x"])
def test_an_address_that_is_none_is_told_without_it(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DRIFT_URL", address)
    with pytest.raises(ConfigurationError, match="environment variable DRIFT_URL") as told:
        send(HOOK)
    assert not address or address not in told.value.message


def test_mail_is_encrypted_before_a_password_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made))
    with mail(Mail(tls=(made, key), login=("bot", "p@ss"), unknown=("gone@example.com",))) as server:
        monkeypatch.setenv("DRIFT_MAIL", f"smtp://bot:p%40ss@127.0.0.1:{server.port}?from=drift@example.com")
        message = send(MAIL)
    ((encrypted, to, letter),) = server.letters
    assert (encrypted, to) == (True, ["dana@example.com"])
    assert (letter["Subject"], letter["From"]) == ("churn drifted: 3 alarms", "drift@example.com")
    assert letter["Message-ID"] == f"<{message.id}@trunkline>"
    assert letter["Bcc"] is None
    assert "average_precision fell from 0.7 to 0.58" in letter.get_content()


def test_a_password_is_not_sent_in_the_clear_nor_to_a_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail(Mail()) as server:
        monkeypatch.setenv("DRIFT_MAIL", f"smtp://bot:hidden@127.0.0.1:{server.port}")
        with pytest.raises(ConfigurationError, match="offers no TLS"):
            send(MAIL)
        monkeypatch.setenv("DRIFT_MAIL", f"smtp://127.0.0.1:{server.port}")
        send(MAIL)
    assert [(encrypted, len(to)) for encrypted, to, _ in server.letters] == [(False, 2)]
    with mail(Mail(tls=certificate(tmp_path), login=("bot", "x"))) as server:
        monkeypatch.setenv("DRIFT_MAIL", f"smtp://bot:hidden@127.0.0.1:{server.port}")
        with pytest.raises(EnvironmentFault, match="no certificate that is trusted here"):
            send(MAIL)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        with pytest.raises(EnvironmentFault, match="refused user and password") as told:
            send(MAIL)
    assert "hidden" not in told.value.message
    assert server.letters == []


def test_a_busy_mail_server_is_tried_again_and_a_broken_connection_is_not(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    with mail(Mail(busy=2)) as server:
        monkeypatch.setenv("DRIFT_MAIL", f"smtp://127.0.0.1:{server.port}")
        send(MAIL)
        assert (len(server.letters), slept) == (1, [1.0, 4.0])
        server.breaks = True
        with pytest.raises(EnvironmentFault, match="may have sent it all the same"):
            send(MAIL)
        assert len(server.letters) == 2
        server.unknown = ("dana@example.com", "gone@example.com")
        with pytest.raises(EnvironmentFault, match="takes mail for none of `to`"):
            send(MAIL)
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        send(MAIL)
    monkeypatch.setenv("DRIFT_MAIL", "mail.example.com")
    with pytest.raises(ConfigurationError, match="holds no mail server"):
        send(MAIL)
