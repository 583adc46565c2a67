"""FastAPI on uvicorn with uvloop and httptools; ONNX Runtime in the handler."""

import os

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Asked(BaseModel):
    """Rows of numbers."""

    rows: list[list[float]]


class Answer(BaseModel):
    """One score per row."""

    scores: list[float]


@app.post("/")
async def score(asked: Asked) -> Answer:
    """Scores of the rows."""
    scores = session.run(None, {"features": np.array(asked.rows, dtype=np.float32)})[0]
    return Answer(scores=scores[:, 0].tolist())


uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
