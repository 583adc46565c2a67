"""What goes into the image of a model: the bytes that were judged, and the server and its pins as git has them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import files, git, shell
from ci.adapters.onnx_model import OnnxModel
from ci.core.errors import ConfigurationError, did_you_mean
from ci.core.image import labels as image_labels
from ci.core.image import reference
from ci.core.lineage import Lineage
from ci.core.params import parse_root
from ci.core.records import Record, Task
from ci.core.serving import KEY, Hidden, parse_served, require_features
from ci.core.strict import Place

if TYPE_CHECKING:
    from ci.core.params import Releasing

SERVER = "ml/serve"
PACKAGE = "ml/__init__.py"
BESIDE = ("Dockerfile", "requirements.txt")
"""Files of the server's folder that a build needs and an image does not."""


class Serving(Record):
    """serving.json: what the server in the image is told of the model beside it."""

    task: Task
    model_hash: str
    lineage: Lineage
    sensitive: dict[str, Hidden]
    categories: dict[str, list[str]]


@dataclass(frozen=True)
class Packed:
    """All that an image is made of: its name and labels, its base, and the files of the build context by path."""

    name: str
    labels: dict[str, str]
    base: str
    context: dict[str, bytes]
    onnx: bytes

    @property
    def created(self) -> str:
        """When the commit of the lineage was made, as RFC 3339."""
        return self.labels[f"{image_labels.OCI}created"]


def pack(root: Path, model: str, made: Lineage) -> Packed:
    """What the image of a trained version is made of. Raises ConfigurationError where a part is missing or another."""
    releasing = require_model(root, model)
    onnx = _onnx(root, model, made)
    base = os.environ.get("TRUNKLINE_BASE_IMAGE") or releasing.base
    server = _server(root)
    serving = _serving(root, made, onnx)
    return Packed(
        name=reference.tagged(releasing.registry, model, made.lock_hash),
        labels=image_labels.labels(
            made,
            created=git.committed_at(root, made.commit),
            base=base,
            serving_hash=image_labels.serving_hash({**server, KEY: repr(serving.sensitive).encode()}, base),
        ),
        base=base,
        context={
            **server,
            "model/model.onnx": onnx,
            "model/serving.json": f"{serving.model_dump_json(indent=2)}\n".encode(),
        },
        onnx=onnx,
    )


def require_model(root: Path, model: str) -> Releasing:
    """How models are released. Raises ConfigurationError where params.yaml does not say, or does not list this one."""
    params = parse_root(*files.read_yaml(root / "params.yaml"))
    if model not in params.models:
        raise ConfigurationError(f"there is no model '{model}' in params.yaml; {did_you_mean(model, params.models)}")
    if params.release is None:
        raise ConfigurationError(
            "params.yaml has no 'release', which says where images go and what they are built on; add it.",
            file="params.yaml",
        )
    return params.release


def require_committed(root: Path, model: str) -> None:
    """Raise ConfigurationError where the server, or what the model tells it, is not here as HEAD has it."""
    told = f"ml/models/{model}/params.yaml"
    changed = shell.run(["git", "status", "--porcelain", "-z", "--", SERVER, PACKAGE, told], cwd=root).out
    if changed:
        path = changed.split("\0")[0][3:]
        raise ConfigurationError(
            f"{path} is not as it is committed, and what is pushed has to be; commit it, or take the change back.",
            file=path,
        )


def _serving(root: Path, made: Lineage, onnx: bytes) -> Serving:
    """serving.json. Raises ConfigurationError where what is sensitive is no feature of the model."""
    path = f"ml/models/{made.model}/params.yaml"
    params, line_of = files.read_yaml(root / path)
    place = Place(path, line_of).at(KEY)
    served = parse_served(params.get(KEY), place)
    opened = OnnxModel(onnx, f"the model of {made.model}")
    if served.sensitive:
        require_features(served, opened.columns, place)
    return Serving(
        model=made.model,
        task=params["task"],
        model_hash=made.model_hash,
        lineage=made,
        sensitive=served.sensitive,
        categories=opened.categories,
    )


def _onnx(root: Path, model: str, made: Lineage) -> bytes:
    """The model's file, held to the hash in its lineage."""
    path = Path("artifacts") / model / "full" / "model.onnx"
    _require_no_link(root, path)
    try:
        content = (root / path).read_bytes()
    except FileNotFoundError as missing:
        raise ConfigurationError(f"{path} is missing; `trunkline image {model}` fetches it.", file=path) from missing
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != made.model_hash:
        raise ConfigurationError(
            f"{path} is not the model that was judged: its md5 is {found}, dvc.lock pins {made.model_hash}; delete it "
            "and run again.",
            file=path,
        )
    return content


def _server(root: Path) -> dict[str, bytes]:
    """What git has, or would add, of the server, by path in the build context."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", SERVER, PACKAGE]
    named = [path for path in shell.run(asked, cwd=root).out.split("\0") if path]
    for path in (*named, *(f"{SERVER}/{name}" for name in BESIDE)):
        _require_no_link(root, Path(path))
    listed = {path for path in named if (root / path).is_file()}
    beside = {f"{SERVER}/{name}" for name in (*BESIDE, "requirements.in")}
    try:
        code = {path: (root / path).read_bytes() for path in sorted(listed - beside)}
        return {**code, **{name: (root / SERVER / name).read_bytes() for name in BESIDE}}
    except FileNotFoundError as missing:
        raise ConfigurationError(f"{missing.filename} is missing; take it back from git.") from missing


def _require_no_link(root: Path, path: Path) -> None:
    """Raise ConfigurationError where a path or a folder on it is a symbolic link, to what lies elsewhere."""
    for step in (path, *path.parents[:-1]):
        if (root / step).is_symlink():
            raise ConfigurationError(
                f"{step} is a symbolic link, and what an image is made of has to lie in the repository itself; put the "
                "file in its place.",
                file=step,
            )
