"""Numbers and texts as whole numbers whose leading bits are the cells of a histogram."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Keys = NDArray[np.int64] | NDArray[np.uint64]

KNOWN = 1 << 15
"""Texts that are remembered; of more, each is likely to be seen once."""
MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)


def of_numbers(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bits of each float64 [n] as an integer: x < y exactly where key(x) < key(y), and -0.0 is 0.0."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    if bits.size and int(bits.min()) < 0:
        return np.where(bits < 0, -(bits & MAGNITUDE), bits)
    return bits


def of_texts(texts: Sequence[str]) -> NDArray[np.uint64]:
    """The first 8 bytes of the BLAKE2b (64 bytes) of each text's UTF-8, as a big-endian number [n]."""
    first = map(_remembered if len(texts) <= KNOWN else _first, texts)
    return np.frombuffer(b"".join(first), ">u8").astype(np.uint64)


def _first(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass")).digest()[:8]


_remembered = lru_cache(maxsize=KNOWN)(_first)  # of the next rows, most texts will be the same


def bit_lengths(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits each number needs; 0 needs none."""
    leading = values & ~(values >> np.uint64(1))  # so that no rounding to float64 reaches the next power of two
    return np.frexp(leading.astype(np.float64))[1].astype(np.int64)


def trailing_zeros(keys: NDArray[np.int64]) -> int:
    """How many lowest bits are 0 in every key; 63 where all keys are 0."""
    together = int(np.bitwise_or.reduce(keys)) if keys.size else 0
    return min((together & -together).bit_length() - 1, 63) if together else 63
