"""Ray Serve with one replica."""

import os
import signal

import numpy as np
import onnxruntime
import ray
from ray import serve


@serve.deployment(max_ongoing_requests=100)
class Scores:
    """ONNX Runtime."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    async def __call__(self, request):
        """Scores of the rows."""
        rows = np.array((await request.json())["rows"], dtype=np.float32)
        return {"scores": self.session.run(None, {"features": rows})[0][:, 0].tolist()}


ray.init(
    num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"MODEL": os.environ["MODEL"]}}
)
serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
serve.run(Scores.bind())
signal.sigwait({signal.SIGTERM, signal.SIGINT})
serve.shutdown()
ray.shutdown()
