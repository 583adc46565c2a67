"""The door to a team's database: one number of it, by SQL, through SQLAlchemy and whatever driver is installed."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.exc import DBAPIError

VARIABLE = "TRUNKLINE_DATABASE"
PAUSES = (1.0, 4.0)  # seconds before the database is asked again


def value(query: str, *, start: str, end: str) -> float | None:
    """The one number that a query gives, or None where it gives none; `:start` and `:end` in it are the window's ends.

    They are given as ISO 8601 in UTC. The database is the one whose URL is in TRUNKLINE_DATABASE; nothing is committed
    to it. Raises ConfigurationError for an address or a query that is no use, EnvironmentFault where the database does
    not answer.
    """
    from sqlalchemy import exc, text  # noqa: PLC0415 - a third of a second, only where there is a query

    engine, asked, ends = _engine(), text(query), {"start": start, "end": end}
    names = set(asked.compile().params)
    if strange := sorted(names - set(ends)):
        raise _useless(query, f"it has :{strange[0]}, and there are :start and :end alone")
    connection = _connected(engine)
    try:
        with connection:
            if engine.dialect.name == "sqlite":  # which commits a CREATE by itself
                connection.execute(text("PRAGMA query_only = ON"))
            rows = connection.execute(asked, {name: ends[name] for name in names}).fetchmany(2)
    except exc.SQLAlchemyError as error:
        if isinstance(error, exc.OperationalError) and engine.dialect.name != "sqlite":  # of which it is any mistake
            raise _away(engine, error) from error
        raise _useless(query, str(getattr(error, "orig", None) or error)) from error
    finally:
        engine.dispose()
    if len(rows) > 1 or any(len(row) != 1 for row in rows):
        raise _useless(query, "it gives more than one number")
    return _number(query, rows[0][0]) if rows else None


def _engine() -> Engine:
    from sqlalchemy import create_engine, exc, make_url  # noqa: PLC0415 - as above

    address = os.environ.get(VARIABLE, "").strip()
    if not address:
        raise ConfigurationError(
            f"a business metric is a SQL query, and {VARIABLE} does not say of which database; set it to a URL as "
            "postgresql://HOST/NAME or sqlite:///FILE."
        )
    try:
        url = make_url(address)
        return create_engine(url)
    except (exc.ArgumentError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{VARIABLE} is not the URL of a database; write it like sqlite:///FILE.") from error
    except ImportError as error:  # the driver
        raise ConfigurationError(
            f"{VARIABLE} names a {url.get_backend_name()} database, whose driver is not installed: {_line(error)}."
        ) from error


def _connected(engine: Engine) -> Connection:
    """A connection, tried again. Raises as `value`."""
    from sqlalchemy import exc  # noqa: PLC0415 - as above

    for pause in (*PAUSES, None):
        try:
            return engine.connect()
        except exc.DBAPIError as error:
            failed = error
        if pause is not None:
            time.sleep(pause)
    raise _away(engine, failed) from failed


def _away(engine: Engine, error: DBAPIError) -> EnvironmentFault:
    return EnvironmentFault(
        f"the database {engine.url.render_as_string()} of {VARIABLE} does not answer: {_line(error.orig)}; check "
        "that it runs and lets this machine in."
    )


def _number(query: str, found: object) -> float | None:
    if found is None:
        return None
    try:
        number = float(found)  # type: ignore[arg-type]  # whatever a driver makes of a number
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _useless(query, f"it gives {found!r}, which is no number")
    return number


def _useless(query: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"the query “{_line(query)}” is no use: {_line(why)}; mend it in params.yaml.")


def _line(said: object) -> str:
    return " ".join(str(said).split())[:300].rstrip(".")
