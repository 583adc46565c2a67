"""A number of a team's own database."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from ci.adapters import business
from ci.core.errors import ConfigurationError, EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path

WEEK = {"start": "2026-11-20T00:00:00+00:00", "end": "2026-11-27T00:00:00+00:00"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders of two weeks."""
    with sqlite3.connect(tmp_path / "shop.db") as made:
        made.execute("CREATE TABLE orders (day TEXT, amount REAL)")
        days = [(f"2026-11-{day:02}", 10.0 if day < 20 else 4.0) for day in range(13, 27)]
        made.executemany("INSERT INTO orders VALUES (?, ?)", days)
    made.close()
    monkeypatch.setenv(business.VARIABLE, f"sqlite:///{tmp_path / 'shop.db'}")


@pytest.mark.usefixtures("shop")
def test_a_query_gives_one_number_of_the_window() -> None:
    asked = "SELECT avg(amount) FROM orders WHERE day >= substr(:start, 1, 10) AND day < substr(:end, 1, 10)"
    assert business.value(asked, **WEEK) == 4.0
    assert business.value("SELECT count(*) FROM orders", **WEEK) == 14
    assert business.value("SELECT amount FROM orders WHERE day > :end", **WEEK) is None
    assert business.value("SELECT avg(amount) FROM orders WHERE day > :end", **WEEK) is None


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT amount FROM orders", "it gives more than one number"),
        ("SELECT day, amount FROM orders LIMIT 1", "it gives more than one number"),
        ("SELECT day FROM orders LIMIT 1", "it gives '2026-11-13', which is no number"),
        ("SELECT 1e999", "it gives inf, which is no number"),
        ("SELECT 'nan'", "it gives 'nan', which is no number"),
        ("SELECT count(*) FROM orders WHERE day < :ende", "it has :ende, and there are :start and :end alone"),
        ("SELECT amount FROM order", "syntax error"),
        ("SELECT amount FROM sales", "no such table: sales"),
    ],
)
def test_a_query_that_gives_no_number_is_told(query: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        business.value(query, **WEEK)


@pytest.mark.usefixtures("shop")
def test_nothing_is_changed_in_the_database() -> None:
    with pytest.raises(ConfigurationError):
        business.value("DELETE FROM orders", **WEEK)
    with pytest.raises(ConfigurationError, match="readonly database"):
        business.value("CREATE TABLE sales (a)", **WEEK)
    with pytest.raises(ConfigurationError, match="no such table: sales"):
        business.value("SELECT count(*) FROM sales", **WEEK)
    assert business.value("SELECT count(*) FROM orders", **WEEK) == 14


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "does not say of which database"),
        ("shop", "is not the URL of a database"),
        ("nosuch://host/shop", "is not the URL of a database|driver is not installed"),
        ("sqlite:///shop.db?timeout=long", "is not the URL of a database; write it"),
        ("postgresql://dana:secret@host/shop", "names a postgresql database, whose driver is not installed"),
    ],
)
def test_an_address_that_is_no_use_is_told(address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(business.VARIABLE, address)
    with pytest.raises(ConfigurationError, match=words) as told:
        business.value("SELECT 1", **WEEK)
    assert "secret" not in told.value.message


def test_a_database_that_is_away_is_the_surroundings_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(business.VARIABLE, f"sqlite:///{tmp_path / 'away' / 'shop.db'}")
    monkeypatch.setattr(business, "PAUSES", (0.0, 0.0))
    with pytest.raises(EnvironmentFault, match=r"shop\.db of TRUNKLINE_DATABASE does not answer: unable to open"):
        business.value("SELECT 1", **WEEK)
    paused: list[float] = []

    def back(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 2:
            (tmp_path / "away").mkdir()

    monkeypatch.setattr("time.sleep", back)
    assert business.value("SELECT 1", **WEEK) == 1
    assert len(paused) == 2
