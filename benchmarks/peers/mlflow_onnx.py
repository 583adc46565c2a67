"""Saves the model for MLflow's scoring server: with a tensor's signature and, beside it, a DataFrame's."""

import sys

import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

source, tensors, frames, width = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])

tensor = Schema([TensorSpec(np.dtype("float32"), (-1, width), "features")])
frame = Schema([ColSpec("float", f"f{column}") for column in range(width)])
mlflow.onnx.save_model(onnx.load(source), tensors, signature=ModelSignature(inputs=tensor), pip_requirements=[])
mlflow.onnx.save_model(onnx.load(source), frames, signature=ModelSignature(inputs=frame), pip_requirements=[])
