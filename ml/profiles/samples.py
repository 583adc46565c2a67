"""Which rows are there more than once, told by a sample of their hashes that any two parts take alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SAMPLE = 1024
"""The most hashes of rows in a profile: a share of 5 % is known to 0.7 %."""


@dataclass(frozen=True)
class Sample:
    """Different hashes below 2**(64 - shift), ascending, with their counts; shift is the least with `limit` of them."""

    shift: int
    keys: NDArray[np.uint64]
    counts: NDArray[np.int64]
    limit: int = SAMPLE

    @classmethod
    def of(cls, hashes: NDArray[np.uint64], limit: int = SAMPLE) -> Sample:
        """The sample of hashes [n], which must be evenly spread."""
        keys, counts = np.unique(hashes, return_counts=True)
        return _settled(keys, counts.astype(np.int64), 0, limit)

    @classmethod
    def empty(cls, limit: int = SAMPLE) -> Sample:
        """Of no row."""
        return cls(0, np.zeros(0, np.uint64), np.zeros(0, np.int64), limit)

    @property
    def repeats(self) -> int:
        """How many rows have been there before: exact while shift is 0, else an estimate."""
        return int(self.counts.sum() - self.keys.size) << self.shift

    def record(self) -> dict[str, Any]:
        """As in profile.json: the first key, then differences."""
        first = [int(self.keys[0])] if self.keys.size else []
        return {
            "shift": self.shift,
            "keys": first + (self.keys[1:] - self.keys[:-1]).tolist(),
            "counts": self.counts.tolist(),
        }

    @classmethod
    def parsed(cls, record: Mapping[str, Any]) -> Sample:
        """The inverse of `record`. Raises KeyError, TypeError, ValueError or OverflowError on what is none."""
        keys = np.cumsum(np.asarray([int(step) for step in record["keys"]], np.uint64), dtype=np.uint64)
        counts = np.asarray(record["counts"], np.int64)
        if keys.shape != counts.shape:
            raise ValueError(f"{keys.size} hashes with {counts.size} counts")
        return cls(int(record["shift"]), keys, counts)


def merged(one: Sample, two: Sample) -> Sample:
    """Both together."""
    return together((one, two))


def together(parts: Sequence[Sample]) -> Sample:
    """All of one or more parts, at once: quicker than one after the other."""
    shift = max(part.shift for part in parts)
    keys, places = np.unique(np.concatenate([part.keys for part in parts]), return_inverse=True)
    counts = np.zeros(keys.size, np.int64)
    np.add.at(counts, places, np.concatenate([part.counts for part in parts]))
    return _settled(keys, counts, shift, min(part.limit for part in parts))


def _settled(keys: NDArray[np.uint64], counts: NDArray[np.int64], shift: int, limit: int) -> Sample:
    if keys.size > limit:
        shift = max(shift, 65 - int(keys[limit]).bit_length())
    below = int(np.searchsorted(keys, np.uint64(1 << (64 - shift)))) if shift else keys.size
    return Sample(shift, keys[:below], counts[:below], limit)
