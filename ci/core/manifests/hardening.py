"""What every pod has to keep to: the restricted profile, requests, and images that cannot change under a name.

The profile is Kubernetes' own: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ci.core.manifests.objects import Finding, dig, name_of, pods_of
from ci.core.release import IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ci.core.manifests.objects import Object, Pods

LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")
VOLUMES = {
    "name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
PROFILES = ("RuntimeDefault", "Localhost")


def check(objects: Sequence[Object]) -> list[Finding]:
    """Every pod that asks for more than it needs, and every label that the cluster would refuse."""
    found = [Finding(one.owner, words) for one in pods_of(objects) for words in (*_pod(one), *_labels(one.labels))]
    found += [
        Finding(name_of(thing), words) for thing in objects for words in _labels(dig(thing, "metadata", "labels") or {})
    ]
    found += [Finding(name_of(thing), words) for thing in objects for words in _trainer(thing)]
    return list(dict.fromkeys(found))  # the tracks of a Rollout are the same pods


def _pod(pods: Pods) -> Iterator[str]:
    spec = pods.spec
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"its pods share the host's: {key} is true"
    for volume in spec.get("volumes") or ():
        if refused := sorted(set(volume) - VOLUMES):
            yield f"its volume '{volume.get('name')}' is a {refused[0]}, which the restricted profile refuses"
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for words in _container(container, spec.get("securityContext") or {}):
            yield f"container '{container.get('name')}': {words}"


def _container(container: Mapping[str, Any], of_pod: Mapping[str, Any]) -> Iterator[str]:
    own: Mapping[str, Any] = container.get("securityContext") or {}
    both = {**of_pod, **own}
    if both.get("runAsNonRoot") is not True or both.get("runAsUser", 1) == 0:
        yield "it may run as root; set runAsNonRoot, and no runAsUser of 0"
    if dig(both, "seccompProfile", "type") not in PROFILES:
        yield f"its seccompProfile is {dig(both, 'seccompProfile', 'type')}, not RuntimeDefault"
    if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
        yield "it may gain privileges; set allowPrivilegeEscalation: false"
    if "ALL" not in (dig(own, "capabilities", "drop") or ()) or set(dig(own, "capabilities", "add") or ()) - {
        "NET_BIND_SERVICE"
    }:
        yield "it keeps capabilities; drop ALL and add none"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "it can write to its own image; set readOnlyRootFilesystem, and mount an emptyDir where it has to write"
    requests, limits = dig(container, "resources", "requests") or {}, dig(container, "resources", "limits") or {}
    if lacking := [name for name in ("cpu", "memory") if name not in requests]:
        yield f"it requests no {' and no '.join(lacking)}, so nothing is set aside for it"
    if "memory" not in limits:
        yield "it has no memory limit, so it can take its node's"
    yield from _image(container.get("image"))


def _image(image: Any) -> Iterator[str]:
    if not IMAGE.fullmatch(str(image)):
        yield f"its image is '{image}', which can change under its name; name it by digest: repository@sha256:..."


def _trainer(thing: Object) -> Iterator[str]:
    """A TrainJob makes its pods from a runtime that the cluster has; what it says itself is the image."""
    image = dig(thing, "spec", "trainer", "image") if thing.get("kind") == "TrainJob" else None
    if image is not None:
        yield from _image(image)


def _labels(labels: Mapping[str, Any]) -> Iterator[str]:
    for key, value in labels.items():
        if not LABEL.fullmatch(str(value)):
            yield f"its label {key} is '{value}', which is no label's value: up to 63 of A-Z, a-z, 0-9, -, _ and ."
