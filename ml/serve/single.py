"""One row at a time, scored in place: its numbers go into arrays that ONNX Runtime was bound to once.

Where the model is small a call of `run` costs as much again as the model: it looks through its inputs, wraps them and
makes its output. Texts cannot be bound, nor an output whose shape is not what the model says; a model that has any is
run in the usual way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ml.serve.model import Model
    from ml.serve.quick import Quick


def single(model: Model, quick: Quick) -> Callable[[list[Any]], float]:
    """A function that scores one row, its values in the order of the model's columns. For one thread only."""

    def usual(values: list[Any]) -> float:
        return float(model.run(quick.columns(values).tensors)[0])

    if any(each.dtype is np.object_ for each in model.inputs):
        return usual
    session = model.session
    tensors: dict[str, NDArray[Any]] = {
        each.name: np.zeros((1, len(each.columns)), dtype=each.dtype) for each in model.inputs
    }
    found = np.array(session.run([model.output], tensors)[0])
    binding = session.io_binding()
    for name, row in tensors.items():
        binding.bind_input(name, "cpu", 0, row.dtype.type, row.shape, row.ctypes.data)
    try:
        binding.bind_output(model.output, "cpu", 0, found.dtype.type, found.shape, found.ctypes.data)
        session.run_with_iobinding(binding)
    except Exception:  # noqa: BLE001  ONNX Runtime's exceptions share no public base
        return usual
    rows = [(row[0], part) for row, part in zip(tensors.values(), quick.parts, strict=True)]

    def score(values: list[Any]) -> float:
        for row, part in rows:
            row[:] = values[part]
        session.run_with_iobinding(binding)
        return float(found.item())

    return score
