"""The doors by which people are told: an issue, a webhook, Slack's kind of one, and email.

Addresses and passwords come from environment variables that params.yaml names, and stand in no error and no log: a
channel is called by its variable. What is sent carries an id, the same for the same message, so that whoever gets it
twice can tell.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import smtplib
import ssl
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import requests

from ci.core import alerts
from ci.core.errors import ConfigurationError, EnvironmentFault
from ci.core.loglines import quiet
from ci.core.reporting.markdown import clean, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ci.adapters.forge import Forge
    from ci.core.alerts import Message
    from ci.core.drift.rules import Alert

PAUSES = (1.0, 4.0)  # seconds before each further try
LONGEST = 60.0  # seconds that a server may ask to wait
TIMEOUT = (5.0, 30.0)  # seconds to connect, and between two bytes of an answer
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
PORTS = {"smtp": 587, "smtps": 465}


def send(channel: Alert, message: Message, forge: Forge) -> None:
    """Tell it on a channel.

    Raises ConfigurationError for a variable that is not set or holds no address, EnvironmentFault where it was not
    taken, or is not known to have been.
    """
    match channel.kind:
        case "issue":
            _issue(message, forge)
        case "webhook":
            _post(str(channel.url_from), _signed(str(channel.url_from), message), again=True)
        case "slack":
            _post(str(channel.url_from), _Body(json.dumps({"text": _slack(message)}).encode()), again=False)
        case "email":
            _email(str(channel.server_from), _letter(message, channel.to or []))


def _issue(message: Message, forge: Forge) -> None:
    """One issue for as long as anything is in alarm; it is opened, followed and closed."""
    marker, over = alerts.marker(message), not message.standing
    words = f"{alerts.title(message)}\n\n{_listed(message)}\n\nWindow: {escape(message.window)}\n"
    if message.status == "firing" and len(message.standing) == len(message.alarms):
        forge.issue(marker, f"{message.model} drifted", words, [alerts.LABEL])
    else:
        left = f"\n{len(message.standing)} still in alarm.\n" if not over else "\nNothing is in alarm any more.\n"
        forge.follow(marker, [alerts.LABEL], words + left, over=over)


def _listed(message: Message) -> str:
    return "\n".join(f"- {escape(line)}" for line in alerts.lines(message))


def _slack(message: Message) -> str:
    """Slack's own markup: `&`, `<` and `>` are all that has to be escaped, and links are made of nothing else."""
    text = "\n".join([f"*{alerts.title(message)}*", *(f"• {line}" for line in alerts.lines(message))])
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:3900]


@dataclass(frozen=True)
class _Body:
    content: bytes
    headers: tuple[tuple[str, str], ...] = ()


def _signed(variable: str, message: Message) -> _Body:
    """The message as JSON, with an HMAC-SHA256 of these very bytes where `<variable>_SECRET` holds a key."""
    content = json.dumps({"schema_version": 1, **message.model_dump(mode="json")}, sort_keys=True).encode()
    headers = {"x-trunkline-delivery": message.id}
    if secret := os.environ.get(f"{variable}_SECRET"):
        headers["x-trunkline-signature"] = f"sha256={hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()}"
    return _Body(content, tuple(headers.items()))


def _post(variable: str, body: _Body, *, again: bool) -> None:
    """Post JSON. `again`: whether it may be sent once more where it is not known whether it was taken."""
    url = _held(variable)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"the environment variable {variable} holds no http(s) address; set it to one.")
    session = requests.Session()
    session.auth = lambda prepared: prepared  # else a ~/.netrc would add a login
    session.trust_env = parts.hostname not in LOOPBACK
    headers = {"content-type": "application/json", "user-agent": "trunkline", **dict(body.headers)}

    def once() -> _Answer:
        try:
            done = session.post(url, data=body.content, headers=headers, timeout=TIMEOUT, allow_redirects=False)
        except (requests.ConnectTimeout, requests.exceptions.ProxyError):
            return _Answer("cannot be reached", safe=True)
        except requests.RequestException as fault:  # its text has the address in it
            return _Answer(f"gave no answer ({type(fault).__name__})", safe=_never_connected(fault))
        return _judged(done.status_code, done.headers)

    _retried(f"{variable} ({parts.hostname})", once, again=again)


@dataclass(frozen=True)
class _Answer:
    """How a try ended: `why` it failed; `safe`: nothing was done; `final`: no other try would end otherwise."""

    why: str | None = None
    safe: bool = False
    final: bool = False
    wait: float | None = None


def _judged(status: int, headers: Mapping[str, str]) -> _Answer:
    """What an answer means."""
    if 200 <= status < 300:
        return _Answer()
    if status in {429, 503}:
        said = headers.get("retry-after", "")
        return _Answer(f"answered {status}", safe=True, wait=min(float(said), LONGEST) if said.isdecimal() else None)
    if status >= 500 or status == 408:
        return _Answer(f"answered {status}")
    moved = ", and what is sent follows no redirect" if 300 <= status < 400 else ""
    return _Answer(f"answered {status}{moved}", final=True)


def _never_connected(fault: requests.RequestException) -> bool:
    """Whether no connection was made, so that nothing can have been taken."""
    return "NewConnectionError" in repr(fault) or "NameResolutionError" in repr(fault)


def _retried(name: str, once: Callable[[], _Answer], *, again: bool) -> None:
    for pause in (*PAUSES, None):
        answer = once()
        if answer.why is None:
            return
        if pause is None or answer.final or not (answer.safe or again):
            break
        seconds = pause if answer.wait is None else answer.wait
        print(f"{name} {quiet(answer.why)}; trying again in {seconds:.0f} s", file=sys.stderr)
        time.sleep(seconds)
    mend = "mend what the variable holds" if answer.final else "look at the receiver"
    raise EnvironmentFault(f"{name} {quiet(answer.why or '')}, so the alert was not told; {mend}, and run this again.")


def _letter(message: Message, to: list[str]) -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = clean(alerts.title(message))
    made["To"] = ", ".join(clean(one) for one in to)
    made["Date"] = formatdate()
    made["Message-ID"] = f"<{message.id}@trunkline>"
    made["Auto-Submitted"] = "auto-generated"
    body = "\n".join(f"- {line}" for line in alerts.lines(message))
    made.set_content(f"{alerts.title(message)}\n\n{body}\n\nWindow: {message.window}\n")
    return made


def _email(variable: str, letter: EmailMessage) -> None:
    """Send by the server in a variable: smtp[s]://[USER:PASSWORD@]HOST[:PORT][?from=ADDRESS]."""
    try:
        parts = urlsplit(_held(variable))
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        host, port = "", 0
    if not host:
        raise ConfigurationError(
            f"the environment variable {variable} holds no mail server; "
            "set it to smtp://USER:PASSWORD@HOST:PORT?from=ADDRESS (or smtps://)."
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    letter["From"] = parse_qs(parts.query).get("from", [user if "@" in user else f"trunkline@{host}"])[0]

    def once() -> _Answer:
        try:
            with _talking(parts.scheme, host, port) as smtp:
                if user:
                    _login(smtp, variable, user, password)
                return _given(smtp, letter)
        except smtplib.SMTPAuthenticationError:
            return _Answer("refused user and password", safe=True, final=True)
        except smtplib.SMTPResponseException as fault:
            return _Answer(f"answered {fault.smtp_code}", safe=True, final=fault.smtp_code >= 500)
        except ssl.SSLError as fault:
            return _Answer(f"has no certificate that is trusted here ({fault.reason})", safe=True, final=True)
        except (OSError, smtplib.SMTPException) as fault:
            return _Answer(f"cannot be reached ({type(fault).__name__})", safe=True)

    _retried(f"{variable} ({host})", once, again=False)


@contextmanager
def _talking(scheme: str, host: str, port: int) -> Iterator[smtplib.SMTP]:
    """A connection that is ended politely; how the server takes that says nothing of what it took before."""
    smtp = _connected(scheme, host, port)
    try:
        yield smtp
        with suppress(OSError, smtplib.SMTPException):
            smtp.quit()
    finally:
        smtp.close()


def _connected(scheme: str, host: str, port: int) -> smtplib.SMTP:
    """A connection, encrypted wherever the server offers that."""
    context = ssl.create_default_context()
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT[1], context=context)
    smtp = smtplib.SMTP(host, port, timeout=TIMEOUT[1])
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=context)
        smtp.ehlo()
    return smtp


def _login(smtp: smtplib.SMTP, variable: str, user: str, password: str) -> None:
    if not isinstance(smtp.sock, ssl.SSLSocket):
        raise ConfigurationError(
            f"the mail server of {variable} offers no TLS, and a password is not sent in the clear; name another, or "
            "leave user and password out."
        )
    smtp.login(user, password)


def _given(smtp: smtplib.SMTP, letter: EmailMessage) -> _Answer:
    """Hand it over; a connection that breaks meanwhile leaves open whether it was taken."""
    try:
        refused = smtp.send_message(letter)
    except smtplib.SMTPRecipientsRefused:
        return _Answer("takes mail for none of `to`", safe=True, final=True)
    except smtplib.SMTPServerDisconnected:
        return _Answer("broke off, and may have sent it all the same")
    if refused:
        print(f"the mail server takes nothing for {quiet(', '.join(refused))}", file=sys.stderr)
    return _Answer()


def _held(variable: str) -> str:
    """What a variable holds. Raises ConfigurationError where it is not set."""
    if found := os.environ.get(variable, "").strip():
        return found
    raise ConfigurationError(
        f"the environment variable {variable} is not set, and an alert goes where it says; set it (a secret, in GitHub "
        "Actions), or take the alert out of params.yaml."
    )
