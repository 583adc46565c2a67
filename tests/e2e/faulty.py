"""The released server with a slower model or a mistake, in an image of its own: `python3 -m faulty steady|errors|slow`.

Each scoring takes 174 ms, as large models do: what other programs take from a busy machine is less than a fifth of it,
and than what its bucket has left. With `errors` one in fifty fails; with `slow` each takes a fifth longer.
"""

from __future__ import annotations

import random
import runpy
import sys
import time
from typing import Any

from ml.serve.model import Model

SECONDS = {"steady": 0.174, "errors": 0.174, "slow": 0.209}
TRIED = 100  # scorings before the mistake shows: a start is no request


def main(kind: str) -> None:
    """Serve, with that."""
    run, chance, done = Model.run, random.Random(), 0

    def slower(self: Model, tensors: Any) -> Any:
        nonlocal done
        done += 1
        until = time.perf_counter() + SECONDS[kind]
        scores = run(self, tensors)
        time.sleep(max(0.0, until - time.perf_counter()))
        if kind == "errors" and done > TRIED and chance.random() < 0.02:
            raise RuntimeError("a mistake")
        return scores

    Model.run = slower  # type: ignore[method-assign]
    runpy.run_module("ml.serve", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
