"""Load on a server by wrk, with real rows; what came back is counted, all of it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import requests

from tests.docker.programs import find

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).with_name("load.lua")
LONG = "3600s"


@dataclass
class Load:
    """What a load has brought: answers by (status, version), and requests that never got one."""

    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    unanswered: int = 0

    @property
    def total(self) -> int:
        """All answers."""
        return self.answers.total()

    @property
    def failed(self) -> int:
        """Answers that are not 200, and requests without one."""
        return self.unanswered + sum(count for (status, _), count in self.answers.items() if status != 200)

    def versions(self) -> dict[str, int]:
        """Good answers by the version that gave them."""
        return {version: count for (status, version), count in self.answers.items() if status == 200}


@contextmanager
def load(url: str, bodies: Path, *, connections: int = 4, pause: int = 20) -> Iterator[Load]:
    """Post the lines of a file until the block ends; each connection rests `pause` ms before a request."""
    args = [find("wrk", package="wrk"), "--threads", "1", "--connections", str(connections), "--duration", LONG]
    args += ["--timeout", "10s", "--script", str(SCRIPT), url, "--", str(bodies), str(pause)]
    made = Load()
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        try:
            yield made
        finally:
            program.send_signal(signal.SIGINT)
            said, _ = program.communicate(timeout=60)
    for line in said.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "SOCKETS":
            made.unanswered += int(rest)
        elif kind == "COUNTS":
            for one in filter(None, rest.split(";")):
                status, version, count = one.split()
                made.answers[int(status), version] += int(count)
    assert "SOCKETS" in said, said


def bodies(root: Path, address: str, model: str, into: Path, count: int = 1000) -> Path:
    """Write requests with the first rows of a model's test data to a file, one a line."""
    inputs: list[dict[str, Any]] = requests.get(f"{address}/v2/models/{model}", timeout=10).json()["inputs"]
    rows = pl.read_parquet(root / "artifacts" / model / "full" / "test.parquet").head(count)
    columns = rows.with_columns(pl.col(pl.Boolean).cast(pl.Float64)).to_dicts()
    lines = [
        json.dumps({"inputs": [{**_head(one), "shape": [1], "data": [row[one["name"]]]} for one in inputs]})
        for row in columns
    ]
    into.write_text("\n".join(lines) + "\n")
    return into


def _head(tensor: dict[str, Any]) -> dict[str, Any]:
    return {"name": tensor["name"], "datatype": tensor["datatype"]}
