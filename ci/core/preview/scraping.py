"""ServiceMonitors and PrometheusRules as Prometheus' own configuration, with the pods of a preview as targets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ci.core.manifests.objects import dig, namespace_of, of_kind, selects
from ci.core.preview.pods import selected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.core.manifests.objects import Object
    from ci.core.preview.pods import Wanted

OWN = "traefik"
"""The job under which Traefik's own metrics are kept."""
SNAKE = re.compile(r"(?<=[a-z])([A-Z])")


def configuration(objects: Sequence[Object], *, targets: str, rules: str, traefik: str) -> dict[str, Any]:
    """prometheus.yml: a job for each endpoint of a ServiceMonitor.

    `targets` is the folder in which a job's targets are kept as <job>.json, `rules` the file of alerts, `traefik` where
    Traefik tells its metrics.
    """
    jobs: list[dict[str, Any]] = [
        {"job_name": OWN, "scrape_interval": "5s", "static_configs": [{"targets": [traefik]}]}
    ]
    for monitor in of_kind(objects, "ServiceMonitor"):
        for index, endpoint in enumerate(dig(monitor, "spec", "endpoints") or ()):
            name = job(monitor, index)
            made = {
                "job_name": name,
                "metrics_path": endpoint.get("path", "/metrics"),
                "file_sd_configs": [{"files": [f"{targets}/{name}.json"]}],
                "relabel_configs": [_snake(one) for one in endpoint.get("relabelings") or ()],
                "metric_relabel_configs": [_snake(one) for one in endpoint.get("metricRelabelings") or ()],
            }
            if "interval" in endpoint:
                made["scrape_interval"] = endpoint["interval"]
                made["scrape_timeout"] = endpoint.get("scrapeTimeout", endpoint["interval"])
            jobs.append(made)
    return {"global": {"scrape_interval": "15s"}, "rule_files": [rules], "scrape_configs": jobs}


def alerts(objects: Sequence[Object]) -> dict[str, Any]:
    """The groups of all PrometheusRules; as with the operator, a group's name tells whose it is."""
    groups = [
        {**group, "name": f"{namespace_of(one)}-{dig(one, 'metadata', 'name')}-{group['name']}"}
        for one in of_kind(objects, "PrometheusRule")
        for group in dig(one, "spec", "groups") or ()
    ]
    return {"groups": groups}


def targets(
    objects: Sequence[Object],
    wanted: Sequence[Wanted],
    running: Mapping[str, Sequence[tuple[str, str, Mapping[str, str]]]],
) -> dict[str, list[dict[str, Any]]]:
    """The targets of each job. `running` has, by Deployment, each pod's name, HOST:PORT and labels.

    Labels are as Kubernetes' service discovery gives them, and as the operator adds them by itself.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for monitor in of_kind(objects, "ServiceMonitor"):
        services = [
            one
            for one in of_kind(objects, "Service", namespace_of(monitor))
            if selects(dig(monitor, "spec", "selector"), dig(one, "metadata", "labels") or {})
        ]
        for index, _ in enumerate(dig(monitor, "spec", "endpoints") or ()):
            found[job(monitor, index)] = [
                {
                    "targets": [address],
                    "labels": {
                        "namespace": one.namespace,
                        "service": str(dig(service, "metadata", "name")),
                        "pod": name,
                        **{f"__meta_kubernetes_pod_label_{_plain(key)}": value for key, value in labels.items()},
                    },
                }
                for service in services
                for one in selected(service, wanted)
                for name, address, labels in running.get(one.owner, ())
            ]
    return found


def job(monitor: Object, index: int) -> str:
    """The name of the job for one endpoint of a ServiceMonitor."""
    return f"{namespace_of(monitor)}-{dig(monitor, 'metadata', 'name')}-{index}"


def _snake(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A relabelling as Prometheus writes it."""
    return {SNAKE.sub(lambda found: f"_{found[1].lower()}", key): value for key, value in rule.items()}


def _plain(label: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)
