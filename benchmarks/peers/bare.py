"""The least there can be: ONNX Runtime in an RSGI function on Granian. It checks nothing and counts nothing."""

import os

import numpy as np
import onnxruntime
import orjson
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
HEADERS = [("content-type", "application/json")]


async def app(_, exchange):
    """Scores of the rows in the body."""
    rows = orjson.loads(await exchange())["rows"]
    scores = session.run(None, {"features": np.array(rows, dtype=np.float32)})[0]
    exchange.response_bytes(200, HEADERS, orjson.dumps({"scores": scores[:, 0].tolist()}))


async def protocol(_, exchange):
    """The same from a request of the Open Inference Protocol, as ours has to read it."""
    inputs = orjson.loads(await exchange())["inputs"]
    rows = np.array([each["data"] for each in inputs], dtype=np.float32).T
    scores = session.run(None, {"features": rows})[0]
    exchange.response_bytes(200, HEADERS, orjson.dumps({"scores": scores[:, 0].tolist()}))


async def main():
    """Serve."""
    target = protocol if os.environ.get("PROTOCOL") else app
    port = int(os.environ["PORT"])
    kinds = {"interface": Interfaces.RSGI, "http": HTTPModes.http1}
    await Server(target, address="127.0.0.1", port=port, websockets=False, log_enabled=False, **kinds).serve()


uvloop.run(main())
