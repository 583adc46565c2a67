"""LitServe with one worker."""

import os

import litserve
import numpy as np
import onnxruntime


class Api(litserve.LitAPI):
    """ONNX Runtime."""

    def setup(self, device):
        """Open the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request):
        """The rows."""
        return np.array(request["rows"], dtype=np.float32)

    def predict(self, rows):
        """Their scores."""
        return self.session.run(None, {"features": rows})[0]

    def encode_response(self, scores):
        """As JSON."""
        return {"scores": scores[:, 0].tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False, log_level="warning")
