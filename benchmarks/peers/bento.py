"""BentoML with one worker: `bentoml serve bento:Scores`."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Scores:
    """ONNX Runtime."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    @bentoml.api
    def score(self, rows: list[list[float]]) -> list[float]:
        """Scores of the rows."""
        return self.session.run(None, {"features": np.array(rows, dtype=np.float32)})[0][:, 0].tolist()
