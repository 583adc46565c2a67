"""The door to the published schemas of Kubernetes' kinds, to which every object is held strictly.

Kubernetes' own kinds come with kubernetes-validate. Custom resources are held to their CustomResourceDefinition where a
folder has it, else to the package of the same contract that PyPI or npm has. A kind without a schema is an error, never
a pass.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
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
MODELS = {("trainer.kubeflow.org/v1alpha1", "TrainJob"): ("kubeflow_trainer_api.models", "TrainerV1alpha1TrainJob")}
"""Kinds that their project publishes as pydantic models on PyPI: the module and the model."""
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
        return _told(wrong)
    return []


def _defined(root: Path, thing: dict[str, Any]) -> list[str] | None:
    """Errors by the CustomResourceDefinition in the folder of schemas, or by PyPI's package; None where neither is."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - a tool of development

    version, kind = thing["apiVersion"], thing["kind"]
    schema = _definition(root / os.environ.get(VARIABLE, BESIDE), version, kind) or _modelled(version, kind)
    if schema is None:
        return None
    wrong = [words for error in Draft202012Validator(schema).iter_errors(thing) for words in _told(error)]
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


@cache
def _modelled(version: str, kind: str) -> dict[str, Any] | None:
    """The strict schema of one version of a kind, by the pydantic model that PyPI has of it."""
    module, name = MODELS.get((version, kind), ("", ""))
    if not name or find_spec(module.partition(".")[0]) is None:
        return None
    model = getattr(import_module(module), name)
    made: dict[str, Any] = _strict(_of_api(model.model_json_schema(by_alias=True)))
    return made


def _of_api(schema: Any) -> Any:
    """A generated model's schema as the API has it.

    What may be left out may not be null instead, and what is one of several types is that, not the model's wrapper.
    """
    if isinstance(schema, list):
        return [_of_api(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if wrapped := schema.get("properties", {}).get("actual_instance"):
        return _of_api(wrapped)
    made = {key: _of_api(part) for key, part in schema.items() if key != "anyOf"}
    named = [_of_api(part) for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    return made | (named[0] if len(named) == 1 else {"anyOf": named} if named else {})


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
                f"no schema of {thing['kind']} in {thing['apiVersion']} was found: `make setup` and `npm ci` bring "
                "what PyPI and @kubernetes-models have; put another's CustomResourceDefinition into a folder that "
                f"{VARIABLE} names."
            )
        found.append(answer)
    return found


def _told(error: Any) -> list[str]:
    """`spec.replicas: '2' is not of type 'integer'`, and in crds.mjs's words which fields are unknown."""
    where = ".".join(str(step) for step in error.absolute_path)
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        return [f"{where}.{name}".lstrip(".") + ": unknown field" for name in error.instance if name not in known]
    message = str(error.message)
    return [f"{where}: {message if len(message) <= 300 else message[:297] + '...'}"]
