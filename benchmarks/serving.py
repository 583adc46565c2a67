"""The server beside others that serve the same ONNX model, in one run on one machine, with wrk at 16 connections.

`python benchmarks/serving.py [--peers fastapi,mlflow,...]`, with wrk at hand. The model is a torch MLP 20→64→64→1. Each
peer gets a virtual environment under build/peers, made when it is missing; one that cannot be installed or started is
said so. Ours runs with all its checks and metrics, and logs one request in ten; it is asked as most peers are, with one
tensor of all features, and beside a DataFrame with a tensor for each by its name. All servers are up at once, and are
asked in turn, several rounds: what else the machine does then falls on all of them alike. CPU is the processor time of
all of a server's processes per request. Goals: requests per second
at least 8 times MLflow's (50 with a DataFrame signature), 7 times LitServe's, 2 times FastAPI's with ONNX Runtime,
0.7 of an RSGI function's on Granian that only calls ONNX Runtime; p99 below each peer's; ready within 2 seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "peers"
MADE = Path("build/peers")
WIDTH, BATCH = 20, 1000
NAMES = [f"f{column}" for column in range(WIDTH)]
INSTALL = {
    "fastapi": ["fastapi", "uvicorn", "uvloop", "httptools"],
    "litserve": ["litserve"],
    "mlflow": ["mlflow", "onnx", "pandas<3"],
    "bentoml": ["bentoml"],
    "mlserver": ["mlserver"],
    "ray": ["ray[serve]"],
}
# By how much ours has to be faster than which.
GOALS = {"mlflow": 8.0, "mlflow, DataFrame": 50.0, "litserve": 7.0, "fastapi": 2.0, "bare RSGI": 0.7}
NAMED = "ours, by name"
LIKE_OURS = 4  # that come first: ours and the bare functions, asked in two ways
START_SECONDS = 2.0
PATIENCE = 240


@dataclass
class Side:
    """A server: how it is started, what it is asked, and what was measured."""

    name: str
    command: list[str]
    path: str
    one: Any
    many: Any
    environment: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    start: float = 0.0
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    batch: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    process: int = 0

    @property
    def url(self) -> str:
        """Where it is asked for scores."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def rate(self) -> float:
        """Requests per second: the median of the rounds."""
        return statistics.median(self.rates)


def main() -> int:
    """Measure, print, and return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(INSTALL))
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    peers = [name for name in asked.peers.split(",") if name]
    console = Console(width=120)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        work = Path(folder)
        model = make_model(work)
        installed = [name for name in peers if install(name, console)]
        up = []
        for side in sides(work, model, installed):
            try:
                stack.enter_context(running(side, work))
                up.append(side)
            except RuntimeError as error:
                console.print(f"{side.name} does not start: {error}")
        for _ in range(asked.rounds):
            for side in up:
                measure(side, work, asked.seconds)
        with httpx.Client(timeout=PATIENCE) as http:
            binary = [batch_of_bytes(up[1], http) for _ in range(20)]
        console.print(report(up))
        console.print(f"1,000 rows as binary tensors, ours: {statistics.median(binary):.2f} ms")
        return verdict(up, console)


def make_model(work: Path) -> Path:
    """The MLP as ONNX, with the record that our server wants beside it; in a process of its own, for torch."""
    subprocess.run([sys.executable, "-W", "ignore", str(HERE / "mlp.py"), str(work)], check=True, capture_output=True)
    model = work / "model.onnx"
    record = {"schema_version": 1, "model": "mlp", "lineage": {}}
    record["model_hash"] = hashlib.md5(model.read_bytes(), usedforsecurity=False).hexdigest()
    (work / "serving.json").write_text(json.dumps(record))
    return model


def install(name: str, console: Console) -> bool:
    """Whether a peer is there, in its own environment."""
    home = MADE / name
    done = home / "installed"
    if done.exists():
        return True
    console.print(f"installing {name}")
    venv.create(home, with_pip=True, clear=True)
    command = [str(home / "bin/python"), "-m", "pip", "install", "--quiet", *INSTALL[name], "onnxruntime", "numpy"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        console.print(f"{name} cannot be installed here: {found.stderr.strip().splitlines()[-1]}")
        return False
    done.touch()
    return True


def sides(work: Path, model: Path, peers: list[str]) -> list[Side]:
    """Ours first, then the least there can be, then the peers."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(BATCH, WIDTH)).round(4)

    def both(make: Any) -> tuple[Any, Any]:
        return make(values[:1]), make(values)

    plain = both(lambda rows: {"rows": rows.tolist()})
    open_protocol = both(in_protocol)
    where = {"MODEL": str(model), "HOST": "127.0.0.1", "MODEL_DIR": str(work)}
    log = {"SERVE_LOG": str(work / "log"), "SERVE_LOG_SHARE": "0.1"}
    here = [sys.executable]
    served = [*here, "-m", "ml.serve"], "/v2/models/mlp/infer"
    found = [
        Side("ours", *served, *both(lambda rows: {"inputs": [in_one(rows)]}), {**where, **log}),
        Side(NAMED, *served, *open_protocol, {**where, **log, "SERVE_LOG": str(work / "named")}),
        Side("bare RSGI", [*here, str(HERE / "bare.py")], "/", *plain, where),
        Side("bare RSGI, by name", [*here, str(HERE / "bare.py")], "/", *open_protocol, where | {"PROTOCOL": "1"}),
    ]
    for peer in peers:
        bin_ = (MADE / peer / "bin").resolve()
        python = str(bin_ / "python")
        env = where | {"PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": str(HERE)}
        if peer == "mlflow":
            tensors, frames = work / "tensors", work / "frames"
            made = [python, str(HERE / "mlflow_onnx.py"), str(model), str(tensors), str(frames), str(WIDTH)]
            subprocess.run(made, check=True, capture_output=True)
            serve = [
                python,
                "-m",
                "mlflow",
                "models",
                "serve",
                "--env-manager",
                "local",
                "--workers",
                "1",
                "--port",
                "{port}",
            ]
            found.append(
                Side(
                    "mlflow", [*serve, "-m", str(tensors)], "/invocations", *both(lambda r: {"inputs": r.tolist()}), env
                )
            )
            split = both(lambda rows: {"dataframe_split": {"columns": NAMES, "data": rows.tolist()}})
            found.append(Side("mlflow, DataFrame", [*serve, "-m", str(frames)], "/invocations", *split, env))
        elif peer == "bentoml":
            serve = [python, "-m", "bentoml", "serve", "bento:Scores", "--port", "{port}", "--working-dir", str(HERE)]
            found.append(Side(peer, serve, "/score", *plain, env | {"BENTOML_DO_NOT_TRACK": "True"}))
        elif peer == "mlserver":
            folder = work / "mlserver"
            folder.mkdir()
            settings = {"debug": False, "http_port": "{port}", "parallel_workers": 0, "host": "127.0.0.1"}
            (folder / "settings.json").write_text(json.dumps(settings))
            described = {"name": "mlp", "implementation": "mlserver_onnx.Onnx"}
            (folder / "model-settings.json").write_text(json.dumps(described))
            asked = both(lambda rows: {"inputs": [in_one(rows)]})
            serve = [str(bin_ / "mlserver"), "start", str(folder)]
            found.append(Side(peer, serve, "/v2/models/mlp/infer", *asked, env))
        else:
            script = {"fastapi": "fastapi_onnx", "litserve": "litserve_onnx", "ray": "rayserve"}[peer]
            path = "/predict" if peer == "litserve" else "/"
            found.append(Side(peer, [python, str(HERE / f"{script}.py")], path, *plain, env))
    return found


def in_protocol(rows: Any) -> Any:
    """A request with one tensor per column."""
    return {
        "inputs": [
            {"name": name, "shape": [len(rows)], "datatype": "FP32", "data": rows[:, place].tolist()}
            for place, name in enumerate(NAMES)
        ]
    }


def in_one(rows: Any) -> Any:
    """One tensor of all columns."""
    return {"name": "features", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}


@contextmanager
def running(side: Side, work: Path) -> Iterator[None]:
    """A server that answers; whatever happens, it and its children end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        side.port = probe.getsockname()[1]
    settings = work / "mlserver" / "settings.json"
    ports = {"MLSERVER_HTTP_PORT": str(side.port), "MLSERVER_GRPC_PORT": "0", "MLSERVER_METRICS_PORT": "0"}
    if side.name == "mlserver":
        settings.write_text(json.dumps({"debug": False, "parallel_workers": 0, "host": "127.0.0.1"}))
    command = [part.format(port=side.port) for part in side.command]
    log = work / f"{side.name}.log"
    begun = time.perf_counter()
    with log.open("w") as out:
        environment = {**os.environ, **side.environment, **ports, "PORT": str(side.port)}
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        while True:
            if process.poll() is not None or time.perf_counter() - begun > PATIENCE:
                raise RuntimeError("\n".join(log.read_text().splitlines()[-5:]))
            try:
                answer = httpx.post(side.url, json=side.one, headers=side.headers, timeout=10)
                if answer.status_code == 200:
                    break
                if answer.status_code < 500 and answer.status_code != 404:
                    raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        side.start = time.perf_counter() - begun
        side.process = process.pid
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        process.wait()


def measure(side: Side, work: Path, seconds: float) -> None:
    """One round: wrk on one row, then single requests of 1,000 rows, one after another."""
    script = work / "ask.lua"
    lua = ('wrk.method = "POST"', 'wrk.headers["Content-Type"] = "application/json"', "wrk.body = [==[{}]==]\n")
    script.write_text("\n".join(lua).format(json.dumps(side.one)))
    command = ["wrk", "-t1", "-c16", f"-d{seconds:g}s", "--latency", "-s", str(script), side.url]
    before = cpu_seconds(side.process)
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(side.process) - before
    assert "Non-2xx" not in told, f"{side.name}: {told}"
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    p50, p99 = (re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", told) for share in (50, 99))
    requests = re.search(r"(\d+) requests in", told)
    assert rate
    assert requests
    assert p50
    assert p99
    side.rates.append(float(rate[1]))
    side.cpu.append(spent / int(requests[1]) * 1e6)
    side.p50.append(milliseconds(*p50.groups()))
    side.p99.append(milliseconds(*p99.groups()))
    content = json.dumps(side.many).encode()
    with httpx.Client(timeout=PATIENCE) as http:
        for _ in range(10):
            begun = time.perf_counter()
            answer = http.post(side.url, content=content, headers={"content-type": "application/json"})
            side.batch.append((time.perf_counter() - begun) * 1000)
            assert answer.status_code == 200, f"{side.name}: {answer.text[:300]}"


def cpu_seconds(session: int) -> float:
    """Processor time so far of all processes of a session: what a crowded machine distorts least."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def batch_of_bytes(side: Side, http: httpx.Client) -> float:
    """Milliseconds that ours takes for 1,000 rows as binary tensors, scores as well."""
    inputs, raw = [], b""
    for each in side.many["inputs"]:
        data = np.array(each["data"], dtype="<f4").tobytes()
        inputs.append({**each, "parameters": {"binary_data_size": len(data)}})
        del inputs[-1]["data"]
        raw += data
    text = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(text))}
    begun = time.perf_counter()
    answer = http.post(side.url, content=text + raw, headers=headers)
    seconds = time.perf_counter() - begun
    assert answer.status_code == 200, answer.text
    return seconds * 1000


def milliseconds(number: str, unit: str) -> float:
    """Wrk's times, which come in three units."""
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def report(up: list[Side]) -> Table:
    """What was measured: medians of the rounds."""
    table = Table("server", "requests/s", "ours is", "goal", "p50 ms", "p99 ms", "CPU us", "start s", "1,000 rows ms")
    for side in up:
        table.add_row(
            side.name,
            f"{side.rate:,.0f}",
            f"{beside(side, up).rate / side.rate:.2f}x",
            f"{GOALS[side.name]:g}x" if side.name in GOALS else "",
            f"{statistics.median(side.p50):.2f}",
            f"{statistics.median(side.p99):.2f}",
            f"{statistics.median(side.cpu):,.0f}",
            f"{side.start:.1f}",
            f"{statistics.median(side.batch):.1f}",
        )
    return table


def beside(side: Side, up: list[Side]) -> Side:
    """Ours, asked as a peer is."""
    return up[1] if side.name.endswith(("by name", "DataFrame")) else up[0]


def verdict(up: list[Side], console: Console) -> int:
    """0 where every goal is met whose peer is here; else which are not, and 1."""
    ours = up[0]
    missed = [
        f"{rate:.2f} times {side.name}, not {GOALS[side.name]:g}"
        for side in up
        if side.name in GOALS and (rate := beside(side, up).rate / side.rate) < GOALS[side.name]
    ]
    slower = [side for side in up[LIKE_OURS:] if statistics.median(side.p99) <= statistics.median(beside(side, up).p99)]
    missed += [f"p99 is not below {side.name}'s" for side in slower]
    if ours.start > START_SECONDS:
        missed.append(f"ready after {ours.start:.1f} s, not {START_SECONDS:g}")
    console.print("missed: " + "; ".join(missed) if missed else "all goals are met")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
