"""The door to the published schemas of Kubernetes' kinds, to which every object is held strictly.

Kubernetes' own kinds come with kubernetes-validate. Custom resources are held to their CustomResourceDefinition where a
folder has it, else to npm's package of the same schemas. A kind without a schema is an error, never a pass.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ci.adapters import kustomize, shell
from ci.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Sequence

KUBERNETES = "1.32"
"""The oldest Kubernetes that the manifests are for."""
VARIABLE = "TRUNKLINE_SCHEMAS"
BESIDE = "../shared/schemas"
"""Where CustomResourceDefinitions are looked for unless the variable names another folder, from the root."""
SCRIPT = Path(__file__).with_name("crds.mjs")


def errors(root: Path, things: Sequence[dict[str, Any]]) -> list[list[str]]:
    """What keeps each object from its schema, nothing where it keeps to it.

    Raises EnvironmentFault where a schema, or what reads it, is missing.
    """
    known = [_defined(root, thing) if (own := _builtin(thing)) is None else own for thing in things]
    left = [thing for thing, wrong in zip(things, known, strict=True) if wrong is None]
    packaged = iter(_packaged(root, left))
    return [next(packaged) if wrong is None else list(dict.fromkeys(wrong)) for wrong in known]


def _builtin(thing: dict[str, Any]) -> list[str] | None:
    """Errors by the schema of one of Kubernetes' own kinds, None where it is none of them."""
    try:
        import kubernetes_validate  # noqa: PLC0415 - a tool of development
    except ImportError as missing:
        raise EnvironmentFault(
            "kubernetes-validate is not installed; `pip install 'trunkline[dev]'` brings it."
        ) from missing
    try:
        kubernetes_validate.validate(thing, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return None
    except kubernetes_validate.ValidationError as wrong:
        return [_told(wrong)]
    return []


def _defined(root: Path, thing: dict[str, Any]) -> list[str] | None:
    """Errors by the CustomResourceDefinition in the folder of schemas, None where it has none."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - a tool of development

    schema = _definition(root / os.environ.get(VARIABLE, BESIDE), thing["apiVersion"], thing["kind"])
    if schema is None:
        return None
    wrong = [_told(error) for error in Draft202012Validator(schema).iter_errors(thing)]
    # A definition leaves metadata open, since it is the same for every kind.
    return wrong + (_builtin({"apiVersion": "v1", "kind": "ConfigMap", "metadata": thing.get("metadata")}) or [])


@cache
def _definition(folder: Path, version: str, kind: str) -> dict[str, Any] | None:
    """The strict schema of one version of a kind, by the CustomResourceDefinitions in a folder."""
    group, _, served = version.partition("/")
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if not re.search(rf"^ +kind: {re.escape(kind)}$", text, re.MULTILINE) or f"group: {group}" not in text:
            continue  # a definition is long, and parsing it slow
        for made in yaml.load_all(text, Loader=kustomize.LOADER):
            spec = made.get("spec", {}) if isinstance(made, dict) else {}
            if spec.get("group") == group and spec.get("names", {}).get("kind") == kind:
                schemas = [one["schema"] for one in spec["versions"] if one["name"] == served]
                return _strict(schemas[0]["openAPIV3Schema"]) if schemas else None
    return None


def _strict(schema: Any) -> Any:
    """The schema with every object closed that does not say it is open, so that a mistyped key is told."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _strict(part) for key, part in schema.items() if key != "properties"}
    if "properties" in schema:
        closed["properties"] = {name: _strict(part) for name, part in schema["properties"].items()}
        if schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed.setdefault("additionalProperties", False)
    return closed


def _packaged(root: Path, things: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Errors by npm's packages for each object. Raises EnvironmentFault for a kind that none of them has."""
    if not things:
        return []
    fed = json.dumps({"root": str(root), "objects": things})
    answers: list[list[str] | None] = json.loads(shell.run(["node", str(SCRIPT)], feed=fed).out)
    found = []
    for thing, answer in zip(things, answers, strict=True):
        if answer is None:
            raise EnvironmentFault(
                f"no schema of {thing['kind']} in {thing['apiVersion']} was found: run `npm ci` for what "
                f"@kubernetes-models has, or put its CustomResourceDefinition into a folder that {VARIABLE} names."
            )
        found.append(answer)
    return found


def _told(error: Any) -> str:
    """`spec.replicas: '2' is not of type 'integer'`."""
    where = ".".join(str(step) for step in error.absolute_path)
    message = str(error.message)
    return f"{where}: {message if len(message) <= 300 else message[:297] + '...'}"
