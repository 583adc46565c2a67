"""A model in production that is watched: by real git and DVC, its log by the server's own writer, its profile by `ml`.

The model is three features and a formula, so that nothing has to be trained.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import orjson
import polars as pl
import pytest
import yaml

from ci import cli
from ci.commands import lineage
from ci.core.release import Version, dump, path_of, release
from ml.profiles.profile import Profile
from ml.profiles.seasons import Scored, Seasons
from ml.serve import log_files
from ml.serve.log_files import Header
from ml.serve.log_store import Store
from tests.project import IDENTITY, ROOT, Project
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ci.core.lineage import Lineage

MODEL = """
<ir_version: 10, opset_import: ["" : 21]>
toy (double[n, 1] amount, int64[n, 1] visits, string[n, 1] plan) => (double[n, 1] score) {
    v = Cast <to = 11> (visits)
    gold = Constant <value_string = "gold"> ()
    is_gold = Equal (plan, gold)
    g = Cast <to = 11> (is_gold)
    w = Constant <value: tensor = double {0.02}> ()
    b = Constant <value: tensor = double {2.0}> ()
    weighted = Mul (amount, w)
    some = Add (weighted, g)
    less = Sub (some, b)
    score = Sigmoid (less)
}
"""
COLUMNS = {"amount": "FP64", "visits": "INT64", "plan": "BYTES"}
HERE = "artifacts/churn/full"
END = datetime(2026, 11, 23, tzinfo=UTC)
"""Where windows end, if not told otherwise: they are of the week before."""
DAY = timedelta(days=1)
OUTS = {
    "prepare": "train.parquet",
    "train": "model.onnx",
    "evaluate": "predictions.parquet",
    "profile": "profile.json",
}
PARAMS = """\
models: [churn]
defaults:
  seed: 1
  gates: {{confidence: 0.95, resamples: 200, min_rows: 10, on_inconclusive: warn}}
release:
  registry: 127.0.0.1:5000/line
  base: python@sha256:{digest}
  prometheus: http://127.0.0.1:1
  environments: {{production: {{steps: [100]}}}}
"""


def rows(n: int = 1000, *, seed: int = 0, amount: float = 50.0) -> pl.DataFrame:
    """Features as they are: amounts around a mean, one in five plans gold."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "amount": rng.gamma(25.0, amount / 25.0, n),
            "visits": rng.poisson(4, n),
            "plan": rng.choice(["basic", "plus", "gold"], n, p=[0.5, 0.3, 0.2]),
        }
    )


def scores(features: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What the model makes of them."""
    weighted = features["amount"].to_numpy() * 0.02 + (features["plan"] == "gold").to_numpy() - 2.0
    return np.asarray(1 / (1 + np.exp(-weighted)), np.float64)


def outcomes(features: pl.DataFrame, *, seed: int = 0, worth: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """Labels as the scores say, or, with less `worth`, as a coin says."""
    rng, score = np.random.default_rng(seed + 1_000), scores(features)
    meant = np.where(rng.random(features.height) < worth, score, score.mean())
    return (rng.random(features.height) < meant).astype(np.int8)


def parquet(table: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    table.write_parquet(file)
    return file.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class Watched:
    """A repository whose model was trained, released to production, and answers; one that is in place is taken over."""

    def __init__(self, where: Path, *, drift: str = "", without: str | None = None) -> None:
        self.project = Project(where / "project")
        self.root, self.log, self.labels, self.remote = (
            where / name for name in ("project", "log", "labels", "remote")
        )
        self.page = False
        self.onnx = models.of(MODEL)
        if is_new := not self.root.exists():
            unused = shutil.ignore_patterns("models", "serve", "__pycache__")
            shutil.copytree(ROOT / "ml", self.root / "ml", ignore=unused)
            self.write("ml/models/__init__.py", "")
            self.project.git("init", "--quiet", "--initial-branch", "main")
        self.write("params.yaml", PARAMS.format(digest="0" * 64))
        if is_new:
            self.write(".gitignore", "artifacts\n.trunkline\n")
        self.write(".dvc/config", f"[core]\n    remote = kept\n['remote \"kept\"']\n    url = {self.remote}\n")
        self.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        matrix = {"model": ["churn"], "mode": ["full"]}
        stages: dict[str, Any] = {
            name: {"matrix": matrix, "cmd": "true", "outs": [f"artifacts/${{item.model}}/${{item.mode}}/{out}"]}
            for name, out in OUTS.items()
        }
        stages["validate"] = {"matrix": {"model": ["churn"]}, "cmd": "true"}
        self.write("dvc.yaml", yaml.safe_dump({"stages": stages}, sort_keys=False))
        self.declare(drift or f"{{log: {self.log}}}")
        self.made = self.train(without=without)
        self.release()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def declare(self, drift: str, *, model: str = "churn", **changes: Any) -> None:
        """A model's params.yaml, with this `drift`."""
        said = yaml.safe_load((ROOT / "ml/models/churn/params.yaml").read_text())
        said["data"]["keep"] = ["plan"]
        said["gates"] = [{"metric": "roc_auc", "min": 0.5}]
        self.write(
            f"ml/models/{model}/params.yaml", yaml.safe_dump({**said, "drift": yaml.safe_load(drift), **changes})
        )
        for name in ("schema.py", "features.py", "model.py"):
            self.write(f"ml/models/{model}/{name}", "")

    def train(
        self, profile: bytes | None = None, *, without: str | None = None, weeks: Sequence[float] = ()
    ) -> Lineage:
        """Pin model, rows, predictions and profile, all of which DVC's cache and remote have; one stage may not run.

        With `weeks`, the rows are of so many, each with its mean amount.
        """
        each = [rows(1_000, seed=99 + week, amount=amount) for week, amount in enumerate(weeks)]
        features = pl.concat(each) if each else rows(4_000, seed=99)
        labels, score = outcomes(features, seed=99), scores(features)
        trained_on = features.with_columns(customer_id=pl.int_range(pl.len()), churn=pl.Series(labels))
        judged = features.select(pl.int_range(pl.len()).alias("row_id"), label=labels, score=score, plan="plan")
        found = Profile("churn", "train", md5(self.onnx)).with_rows(features, features.columns)
        found = found.with_scores(score, labels.astype(np.float64), binary=True)
        if weeks:
            time = END - 400 * DAY + pl.duration(minutes=pl.int_range(features.height) * 7 * 24 * 60 // 1_000)
            scored = Scored(features.select(time).to_series(), score, labels.astype(np.float64), features)
            seasons = Seasons.of(features, found.columns, scored, scored, 7, {}, binary=True)
            found = replace(found, seasons=seasons)
        contents = {
            "prepare": parquet(trained_on),
            "train": self.onnx,
            "evaluate": parquet(judged),
            "profile": found.to_json() if profile is None else profile,
        }
        deps = [{"path": path, "md5": "0" * 32} for path in ("data/churn", "constraints.txt")]
        stages: dict[str, Any] = {"validate@churn": {"cmd": "true", "deps": deps}}
        for stage, content in contents.items():
            if stage == without:
                continue
            for store in (self.remote, self.root / ".dvc" / "cache"):
                kept = store / "files" / "md5" / md5(content)[:2] / md5(content)[2:]
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(content)
            outs = [{"path": f"{HERE}/{OUTS[stage]}", "hash": "md5", "md5": md5(content), "size": len(content)}]
            stages[f"{stage}@churn-full"] = {"cmd": "true", "deps": deps, "outs": outs}
        self.write("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))
        self.project.commit("train churn in full")
        made = lineage.of_head(self.root, "churn")
        assert made is not None
        return made

    def release(self) -> None:
        """Let production run what was trained."""
        version = Version(image=f"r/churn@sha256:{'1' * 64}", version="1", lineage=self.made)
        self.write(path_of("churn", "production"), dump(release("churn", "production", stable=version)))
        self.project.commit("Release churn 1 to production")

    def answer(self, features: pl.DataFrame, *, end: datetime = END, name: str = "s", **changes: Any) -> None:
        """Have a server log these rows, one a request, evenly over the week before `end`."""
        score = changes.pop("scores", scores(features) if set(COLUMNS) <= set(features.columns) else None)
        model_hash = changes.pop("model_hash", self.made.model_hash)
        columns = changes.pop("columns", COLUMNS)
        header = Header("churn", model_hash, model_hash[:12], "stable", columns, changes.pop("sensitive", {}))
        start, step = (end - 7 * DAY).timestamp(), 7 * 86_400 / max(features.height, 1)
        values = [features[column].to_list() for column in columns]
        told = score if score is not None else np.full(features.height, 0.5)
        lines = [
            orjson.dumps([f"{name}-{row}", 0, start + row * step, [[each[row]] for each in values], [float(told[row])]])
            for row in range(features.height)
        ]
        for hour, within in log_files.by_hour(lines).items():
            Store(str(self.log)).put(log_files.path(header, hour, name), log_files.parquet(header, within, b"k" * 32))

    def logged(self) -> list[Path]:
        """The log's files, by hour."""
        return sorted(self.log.rglob("*.parquet"))

    def label(self, labels: Any, *, name: str = "s", prefix: str | None = None) -> None:
        """Labels of what a server logged, which came later."""
        self.labels.mkdir(exist_ok=True)
        ids = [f"{prefix or name}-{row}" for row in range(len(labels))]
        pl.DataFrame({"id": ids, "label": labels}).write_parquet(self.labels / f"{name}.parquet")

    def look(
        self, *args: str, code: int = 0, end: datetime = END, models: Sequence[str] = ("churn",), **env: str
    ) -> str:
        """What `trunkline drift` says, on both streams."""
        return self.say("drift", *models, "--end", end.isoformat(), *args, code=code, **env)

    def say(self, *words: str, code: int = 0, **env: str) -> str:
        """What a command says, in this process; without Evidently's page, which takes long, unless `page` is set."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "CI"):
                patch.delenv(name, raising=False)
            for name, value in {**IDENTITY, "COLUMNS": "240", **env}.items():
                patch.setenv(name, value)
            if not self.page:
                patch.setattr("ci.commands.drifting.evidently.write_page", lambda *_: None)
            patch.chdir(self.root)
            done = cli.main(words)
        assert done == code, f"{words} ended with {done}:\n{said.getvalue()}"
        return said.getvalue()

    def record(self) -> dict[str, Any]:
        """drift.json."""
        found: dict[str, Any] = json.loads((self.root / "artifacts/churn/drift/drift.json").read_text())
        return found

    def found(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The findings by kind and subject."""
        return {(one["kind"], one["subject"]): one for one in self.record()["findings"]}


@contextmanager
def prometheus(**values: float) -> Iterator[str]:
    """The address of something that answers as Prometheus, with the first value whose name is in the query."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)["query"][0]
            found = next(([0, str(value)] for name, value in values.items() if name in query), None)
            result = [{"metric": {}, "value": found}] if found else []
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
