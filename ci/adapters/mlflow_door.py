"""How MLflow is reached: the client, a database of its own where none is named, and what its faults come to.

Every question passes `Door.ask`, which waits for what passes by itself and tells the rest in one sentence.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from ci.adapters import locks
from ci.core.addresses import masked
from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

T = TypeVar("T")

SURROUNDINGS = {  # of itself MLflow tries for ten minutes in silence, calls home, and prints beside our answers
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
SQLITE = "sqlite:///"
WAITS = (0.5, 1.0, 2.0, 4.0)
LOCKED_FOR = 15.0  # seconds that another program may hold the database before that is told
LOCKED = "database is locked"
PASSING = frozenset({"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"})
AUTH = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"})
# Another wrote the same row first: asked again, it is found there. MLflow itself tries three times for a version.
MEANWHILE = ("IntegrityError", "UniqueViolation", "Model Version creation error")
MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})


class Missing(EnvironmentFault):
    """What was asked about is not there; told where that was not expected."""


class Exists(EnvironmentFault):
    """What was to be made is there."""


class Door:
    """MLflow as one tracking URI has it; it is reached when something is first asked."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.root / '.trunkline' / 'mlflow.db'}"

    @property
    def shown(self) -> str:
        """The URI without a login and without what may be one: all up to the last `@`, and the query."""
        return masked(self.uri)

    @property
    def is_remote(self) -> bool:
        """Whether a server answers, so that it also knows where artifacts belong."""
        return self.uri.startswith(("http://", "https://", "databricks"))

    @cached_property
    def client(self) -> MlflowClient:
        """The client; a database is made where none is, by one process at a time, and whole or not at all."""
        for name, value in SURROUNDINGS.items():
            os.environ.setdefault(name, value)
        for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):  # they tell of each table, and trace back
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if self.is_remote or self.database is None:
            return self._opened(self.uri)
        lock = self.database.with_name(f".{self.database.name}.lock")  # beside it, since other checkouts may share it
        with locks.exclusive(lock, "another command that sets MLflow up"):
            self._make(self.database)
            _require_free(self.database)
            return self._opened(self.uri)

    @property
    def is_made(self) -> bool:
        """Whether there is something to ask: asked, an SQLite database that is not there would be made."""
        return self.database is None or self.database.exists()

    @property
    def database(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(self.uri.removeprefix(SQLITE).partition("?")[0]) if self.uri.startswith(SQLITE) else None

    def _make(self, database: Path) -> None:
        """Make the database's tables aside: a run killed at it would leave some of them, which MLflow cannot mend."""
        if database.exists():
            return
        part = database.with_name(f".{database.name}.part")
        try:
            database.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            self._opened(f"{SQLITE}{part}")
            part.replace(database)
        except OSError as fault:
            raise EnvironmentFault(
                f"{database} cannot be written: {fault.strerror}; mend that, or name another with MLFLOW_TRACKING_URI.",
                file=database,
            ) from fault

    def _opened(self, uri: str) -> MlflowClient:
        from mlflow import MlflowClient  # noqa: PLC0415 - MLflow takes seconds to import

        try:
            client = MlflowClient(uri, uri)
            client.search_registered_models(max_results=1)
        except Exception as error:  # no server, no driver, no such backend: each raises its own
            raise self._fault(error) from error
        return client

    def ask(self, call: Callable[..., T], *args: Any, **named: Any) -> T:
        """One call of MLflow's client, tried again while what hinders it may pass.

        Raises Missing, Exists, or EnvironmentFault with what MLflow says.
        """
        for wait in (*WAITS, None):
            try:
                return call(*args, **named)
            except _errors() as error:
                code = getattr(error, "error_code", "TEMPORARILY_UNAVAILABLE")
                if code in MISSING:
                    raise Missing(self._surprise(error)) from error
                if code == "RESOURCE_ALREADY_EXISTS":
                    raise Exists(self._surprise(error)) from error
                if wait is None or not _may_pass(code, str(error)):
                    raise self._fault(error) from error
            time.sleep(wait)
        raise AssertionError  # the last wait is None

    def _surprise(self, error: Exception) -> str:
        return f"somebody else changed MLflow at {self.shown} meanwhile: {one_line(error, self.uri)}; run again."

    def _fault(self, error: Exception) -> EnvironmentFault:
        said = one_line(error, self.uri)
        advice = "see that it runs and that MLFLOW_TRACKING_URI names it, and run again"
        if LOCKED in said:
            advice = "end the program that holds it, or run again later"
        elif getattr(error, "error_code", "") in AUTH:
            advice = "give MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        return EnvironmentFault(f"MLflow at {self.shown} does not answer: {said}; {advice}.")


def _require_free(database: Path) -> None:
    """Raise EnvironmentFault where another program holds the database: MLflow would try for minutes, in silence."""
    try:
        connection = sqlite3.connect(database, timeout=LOCKED_FOR, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except sqlite3.OperationalError as busy:
        raise EnvironmentFault(
            f"MLflow's {database} cannot be written: {busy}; end the program that holds it, or run again later.",
            file=database,
        ) from busy
    except sqlite3.DatabaseError as wrong:
        raise EnvironmentFault(
            f"{database} is not MLflow's database ({wrong}); move it away, or name another with MLFLOW_TRACKING_URI.",
            file=database,
        ) from wrong


def _may_pass(code: str, said: str) -> bool:
    """Whether the same question may be answered a moment later."""
    if LOCKED in said:  # SQLite itself waited for 20 s
        return False
    return code in PASSING or any(mark in said for mark in MEANWHILE)


def _secrets(uri: str) -> list[str]:
    """What of a URI may be part of a password, as a driver that parses it otherwise would quote it."""
    rest = uri.partition("//")[2]
    login, _, place = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")
    user, colon, password = login.partition(":")
    doubtful = place if "?" in login or "#" in login else ""
    query = place.partition("?")[2]
    hidden = [password if colon else user, doubtful, *(each.partition("=")[2] for each in re.split(r"[&#]", query))]
    parts = {
        part for each in hidden for text in (each, unquote(each)) for part in (text, *re.split(r"[/:@?#&=]", text))
    }
    return sorted((part for part in parts if part), key=len, reverse=True)


def one_line(error: Exception, uri: str) -> str:
    """What an exception says, without the statement that failed and without what may be a part of a password."""
    said = " ".join(str(error).split()).partition(" [SQL:")[0].replace(uri, masked(uri))
    if cause := re.search(r"Max retries exceeded.*Caused by (?:.*: |\w+\(.)(.*?)[\"')]*$", said):
        said = f"it cannot be reached: {cause[1]}"
    said = re.sub(r"//\S*@", "//", said)
    said = re.sub(r"\?[\w.%~-]+=[^\s\"')]*", "", said)
    for secret in _secrets(uri):
        said = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", said)
    return said[:300].rstrip(". ")


def _errors() -> tuple[type[Exception], ...]:
    """What MLflow raises, and SQLAlchemy where MLflow lets it through: while a store is opened."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as above
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - as above

    return (MlflowException, OperationalError)
