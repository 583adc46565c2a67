"""What a preview runs, as it tells other programs: `.trunkline/preview/preview.json`."""

from __future__ import annotations

from ci.core.records import Part


class ShownPod(Part):
    """One pod: `runs` is its container's id, or its process; `serving` tells whether requests go to it."""

    name: str
    owner: str
    image: str
    version: str
    track: str
    address: str
    runs: str
    ready: bool
    serving: bool
    restarts: int


class Shown(Part):
    """A preview that runs: where models are asked, where Traefik tells its metrics, where Prometheus is."""

    manifests: str
    url: str
    traefik: str
    prometheus: str | None
    pods: tuple[ShownPod, ...]
