"""Who pays and where: customers and terminals on a grid, after chapter 3 of the Fraud Detection Handbook."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ml.errors import StageError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SIDE = 100.0  # of the grid
RADIUS = 5.0  # how far a customer goes
AMOUNTS = (5.0, 100.0)  # bounds of a customer's mean amount
TRANSACTIONS = (0.0, 4.0)  # bounds of a customer's mean number of transactions a day
MOST_PAIRS = 200_000_000  # of a customer and a terminal in reach: 800 MB
BLOCK = 512  # customers whose distances are held at once
EARLIEST = -28  # the first day there are random numbers for: frauds that reach into day 0 began before it


class Purpose(IntEnum):
    """What a stream of random numbers is for. Numbers are part of the data: never renumber, only append."""

    POPULATION = 0
    TRANSACTIONS = 1
    COMPROMISED_TERMINALS = 2
    COMPROMISED_CUSTOMERS = 3
    STOLEN_AMOUNTS = 4
    NEW_PAYMENT_METHOD = 5
    TESTED_CARDS = 6
    CARD_TESTS = 7
    MISSING_COLUMN = 8


def stream(seed: int, purpose: Purpose, day: int = 0) -> np.random.Generator:
    """The random numbers of one purpose on one day: independent of all others and of what was drawn before."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, day - EARLIEST)))


@dataclass(frozen=True)
class Population:
    """Profiles of customers [n] and, for each, the terminals in reach: `reach[first[c] :][: count[c]]`."""

    seed: int
    terminals: int
    mean_amount: Floats
    mean_transactions: Floats  # a day; 0 for a customer out of every terminal's reach
    first: Ints
    count: Ints
    reach: npt.NDArray[np.int32]

    @property
    def customers(self) -> int:
        """How many there are."""
        return len(self.mean_amount)


def populate(customers: int, terminals: int, seed: int) -> Population:
    """Draw the profiles. Raises StageError when nobody can reach a terminal, or too many can reach too many."""
    pairs = customers * terminals * np.pi * RADIUS**2 / SIDE**2
    if pairs > MOST_PAIRS:
        message = (
            f"--customers {customers} and --terminals {terminals} make some {pairs:.0f} pairs in reach, more than the "
            f"{MOST_PAIRS} that memory is planned for; take fewer of either, and more --days for more rows"
        )
        raise StageError(message)
    draw = stream(seed, Purpose.POPULATION)
    homes = draw.uniform(0, SIDE, (customers, 2))
    mean_amount = draw.uniform(*AMOUNTS, customers)
    mean_transactions = draw.uniform(*TRANSACTIONS, customers)
    first, count, reach = _reach(homes, draw.uniform(0, SIDE, (terminals, 2)))
    if not len(reach):
        message = (
            f"no customer has a terminal within {RADIUS:g} of the {SIDE:g} x {SIDE:g} grid; "
            f"raise --customers (now {customers}) or --terminals (now {terminals})"
        )
        raise StageError(message)
    mean_transactions[count == 0] = 0.0
    return Population(seed, terminals, mean_amount, mean_transactions, first, count, reach)


def _reach(homes: Floats, places: Floats) -> tuple[Ints, Ints, npt.NDArray[np.int32]]:
    """Terminals within RADIUS of each customer: where they start in one flat list [n], how many [n], and the list.

    Both are walked from left to right, so that a block of customers meets only the terminals of its own strip.
    """
    by_x = np.argsort(places[:, 0], kind="stable")
    x = places[by_x, 0]
    first, count = np.zeros((2, len(homes)), dtype=np.int64)
    near: list[npt.NDArray[np.int32]] = []
    listed = 0
    order = np.argsort(homes[:, 0], kind="stable")
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        low, high = homes[block[0], 0] - RADIUS, homes[block[-1], 0] + RADIUS
        strip = by_x[np.searchsorted(x, low) : np.searchsorted(x, high, side="right")]
        gap = homes[block, None, :] - places[None, strip, :]
        who, where = np.nonzero((gap**2).sum(axis=2) < RADIUS**2)  # row by row: one run a customer
        count[block] = np.bincount(who, minlength=len(block))
        first[block] = listed + np.cumsum(count[block]) - count[block]
        near.append(strip[where].astype(np.int32))
        listed += len(where)
    return first, count, np.concatenate(near)
