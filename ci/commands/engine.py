"""What splits the traffic of an overlay, and what it decided where it decides by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.adapters import cluster
from ci.adapters.files import parse_yaml
from ci.core import argo
from ci.core.manifests.engines import ARGO, engine_of
from ci.core.manifests.overlays import folder_of
from ci.core.release import namespace_of

if TYPE_CHECKING:
    from ci.core.bot import Read
    from ci.core.canary.records import Decision
    from ci.core.release import Release


def decided(read: Read, release: Release) -> Decision | None:
    """What the engine decided on the canary of `release`; None where it leaves that to Trunkline, as gateway-api does.

    `read` gives the files of the commit that `release` is of. The cluster is the one that kubectl is configured for.
    Raises EnvironmentFault where it cannot be asked.
    """
    spec = release.spec
    folder = folder_of(spec.model, spec.environment)
    path = f"{folder}/kustomization.yaml"
    found, _ = parse_yaml(read(path) or "{}", path)
    if not isinstance(found, dict) or engine_of(folder, found) != ARGO:
        return None
    namespace = namespace_of(spec.model, spec.environment)
    return argo.decision(release, cluster.rollout(namespace, argo.NAME), cluster.replica_sets(namespace))
