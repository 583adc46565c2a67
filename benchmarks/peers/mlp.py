"""A torch MLP 20→64→64→1 as ONNX, into a folder."""

import json
import sys
from pathlib import Path

import onnx
import torch

WIDTH = 20
torch.manual_seed(0)
hidden = [torch.nn.Linear(WIDTH, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU()]
model = torch.nn.Sequential(*hidden, torch.nn.Linear(64, 1), torch.nn.Sigmoid()).eval()
path = Path(sys.argv[1]) / "model.onnx"
names = {"input_names": ["features"], "output_names": ["score"]}
torch.onnx.export(
    model, (torch.zeros(2, WIDTH),), path, dynamic_axes={"features": {0: "n"}, "score": {0: "n"}}, dynamo=False, **names
)
made = onnx.load(path)
onnx.helper.set_model_props(made, {"features": json.dumps([f"f{column}" for column in range(WIDTH)])})
onnx.save(made, path)
