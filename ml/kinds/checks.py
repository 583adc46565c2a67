"""The questions smoke training asks of itself. Each can fail, and says with which number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ml.kinds import LossPoint


@dataclass(frozen=True)
class Check:
    """One answer; `limit` is what `value` was held to. A value that is no finite number is None, told in `detail`."""

    name: str
    passed: bool
    value: float | None
    limit: float | None
    detail: str


def loss_falls(loss: Sequence[LossPoint], least: float) -> Check:
    """Whether loss fell from step 0, the base rate's loss, by the share `least`: on train and on validation rows."""
    if len(loss) < 2:
        return Check("loss_falls", passed=False, value=None, limit=least, detail="no epoch ended with a finite loss")
    first, last = loss[0], loss[-1]
    falls = {"training": 1 - last.train / first.train}
    words = [f"training {first.train:.4g} → {last.train:.4g}"]
    if first.validation is not None and last.validation is not None:
        falls["validation"] = 1 - last.validation / first.validation
        words.append(f"validation {first.validation:.4g} → {last.validation:.4g}")
    value = min(falls.values())
    detail = f"loss after {last.step} steps: {', '.join(words)}"
    return Check("loss_falls", passed=value >= least, value=round(value, 6), limit=least, detail=detail)


def reproducible(differences: Sequence[str]) -> Check:
    """Whether two runs of one seed, each a process of its own, gave the same rows, losses and bytes."""
    same = not differences
    detail = "two processes, one seed: same rows, same losses, same model bytes" if same else "; ".join(differences)
    return Check("reproducible", passed=same, value=float(len(differences)), limit=0.0, detail=detail)


def loss_differences(one: Sequence[LossPoint], two: Sequence[LossPoint]) -> list[str]:
    """The first step at which two loss histories part, in words; empty when they do not."""
    if len(one) != len(two):
        return [f"the first training took {one[-1].step} steps, the second {two[-1].step}"]
    for a, b in zip(one, two, strict=True):
        if a != b:
            part = "training" if a.train != b.train else "validation"
            values = (a.train, b.train) if part == "training" else (a.validation, b.validation)
            return [f"{part} loss parts at step {a.step}: {values[0]} and {values[1]}"]
    return []


def onnx_agrees(trained: NDArray[np.float64], exported: NDArray[np.float64], tolerance: float) -> Check:
    """Whether the exported model's scores are the trained one's; both of shape [n], on the evaluation rows."""
    if trained.shape != exported.shape:
        words = f"{trained.size} scores of the trained model, {exported.size} of the exported one"
        return Check("onnx_agrees", passed=False, value=None, limit=tolerance, detail=words)
    difference = np.abs(trained - exported)
    worst = int(np.argmax(difference)) if np.isfinite(difference).all() else int(np.argmin(np.isfinite(difference)))
    value = float(difference[worst])
    detail = (
        f"largest difference over {trained.size:,} rows: {value:.3g} (row {worst}: "
        f"trained {trained[worst]:.6g}, exported {exported[worst]:.6g})"
    )
    return Check("onnx_agrees", value <= tolerance, value if math.isfinite(value) else None, tolerance, detail)


def beats_base_rate(skill: float, margin: float, words: str) -> Check:
    """Whether skill over predicting the base rate, 0 for none and 1 for perfect, reaches the margin."""
    return Check("beats_base_rate", passed=skill >= margin, value=round(skill, 6), limit=margin, detail=words)
