"""The files by which a model gets a place in an environment, and the release that stands in until there is one."""

from __future__ import annotations

from ci.core.lineage import Lineage
from ci.core.release import Release, Version, namespace_of, path_of, release

OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources:
  - ../../../base
  - release.yaml
components:
  - ../../../engines/gateway-api
"""
POINTER = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {namespace}
  namespace: flux-system
spec:
  interval: 10m
  retryInterval: 1m
  timeout: 10m
  path: ./{folder}
  prune: true
  wait: true
  sourceRef:
    kind: GitRepository
    name: flux-system
"""
FOLDER = "k8s/models"
NOWHERE = "0" * 64


def folder_of(model: str, environment: str) -> str:
    """The folder of an overlay, from the repository's root."""
    return path_of(model, environment).rpartition("/")[0]


def overlay(model: str, environment: str) -> dict[str, str]:
    """The files that a model needs beside release.yaml to run in an environment: path from the root, text.

    Argo CD finds release.yaml itself. Raises ConfigurationError where the names make no namespace.
    """
    folder, namespace = folder_of(model, environment), namespace_of(model, environment)
    return {
        f"{folder}/kustomization.yaml": OVERLAY.format(namespace=namespace),
        f"k8s/clusters/flux/{environment}/{model}.yaml": POINTER.format(namespace=namespace, folder=folder),
    }


def placeholder(registry: str, model: str, environment: str) -> Release:
    """A release of nothing, to build an overlay with before its first one was written."""
    hashes = {name: NOWHERE for name in Lineage.model_fields if name.endswith("_hash")}
    lineage = Lineage.model_validate({"model": model, "commit": "0" * 40, **hashes})
    image = f"{registry}/{model}@sha256:{NOWHERE}"
    return release(model, environment, stable=Version(image=image, version="0", lineage=lineage))
