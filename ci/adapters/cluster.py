"""The door to a cluster, by kubectl and whatever it is configured with: objects are read, none is changed.

On a machine that is made for one job, as GitHub's are, TRUNKLINE_KUBECONFIG holds that configuration itself.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ci.adapters import kustomize, shell
from ci.core.errors import EnvironmentFault
from ci.core.loglines import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT = "20s"


def rollout(namespace: str, name: str) -> dict[str, Any] | None:
    """A Rollout, None where the namespace has none of this name. Raises EnvironmentFault."""
    return _get(f"/apis/argoproj.io/v1alpha1/namespaces/{quote(namespace)}/rollouts/{quote(name)}")


def replica_sets(namespace: str) -> Sequence[dict[str, Any]]:
    """The ReplicaSets of a namespace. Raises EnvironmentFault."""
    found = _get(f"/apis/apps/v1/namespaces/{quote(namespace)}/replicasets")
    return list((found or {}).get("items") or ())


def _get(path: str) -> dict[str, Any] | None:
    """What the API has at a path: asked for as it is, kubectl needs no discovery, and no right but to this."""
    configuration = os.environ.get("TRUNKLINE_KUBECONFIG")
    where = ["--kubeconfig=/dev/stdin"] if configuration else []  # not in a file, which a killed run would leave
    command = [kustomize.kubectl(), *where, "get", f"--request-timeout={TIMEOUT}", "--raw", path]
    done = shell.run(command, check=False, feed=configuration or None, without=("TRUNKLINE_KUBECONFIG",))
    if done.code != 0:
        said = quiet(" ".join(done.err.split()))[:300]
        if "(NotFound)" in said:
            return None
        raise EnvironmentFault(f"the cluster does not say what is at {path}: {said}; see kubectl's configuration.")
    try:
        found = json.loads(done.out)
    except ValueError as wrong:
        raise EnvironmentFault(f"what the cluster says is at {path} is not JSON.") from wrong
    return found if isinstance(found, dict) else {}
