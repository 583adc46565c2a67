from __future__ import annotations

from ci.core.preview.pods import wanted
from ci.core.preview.scraping import alerts, configuration, targets
from tests.unit.ci.core.preview.objects import everything, thing

MONITOR = thing(
    "ServiceMonitor",
    "server",
    {
        "selector": {"matchLabels": {"a": "b"}},
        "endpoints": [
            {
                "port": "http",
                "path": "/metrics",
                "interval": "15s",
                "relabelings": [
                    {
                        "action": "replace",
                        "sourceLabels": ["__meta_kubernetes_pod_label_trunkline_dev_track"],
                        "targetLabel": "track",
                    }
                ],
            }
        ],
    },
)


def test_a_monitor_becomes_a_job_with_its_own_relabelling() -> None:
    made = configuration([MONITOR], targets="/t", rules="/r.yml", traefik="127.0.0.1:9")
    own, job = made["scrape_configs"]
    assert own["static_configs"] == [{"targets": ["127.0.0.1:9"]}]
    assert job["job_name"] == "toy-production-server-0"
    assert job["scrape_interval"] == job["scrape_timeout"] == "15s"
    assert job["file_sd_configs"] == [{"files": ["/t/toy-production-server-0.json"]}]
    (rule,) = job["relabel_configs"]
    assert rule == {
        "action": "replace",
        "source_labels": ["__meta_kubernetes_pod_label_trunkline_dev_track"],
        "target_label": "track",
    }


def test_pods_are_targets_with_the_labels_that_discovery_gives() -> None:
    objects = [*everything(), MONITOR]
    pods = wanted(objects)
    running = {"toy-production/server-canary": [("canary-1", "127.0.0.1:81", pods[1].labels)]}
    made = targets(objects, pods, running)
    assert list(made) == ["toy-production-server-0"]
    (target,) = made["toy-production-server-0"]
    assert target["targets"] == ["127.0.0.1:81"]
    assert target["labels"]["__meta_kubernetes_pod_label_trunkline_dev_track"] == "canary"
    assert (target["labels"]["service"], target["labels"]["pod"]) == ("server-canary", "canary-1")


def test_alerts_of_two_models_are_groups_of_two_names() -> None:
    one = thing("PrometheusRule", "server", {"groups": [{"name": "g", "rules": []}]})
    other = {**one, "metadata": {"name": "server", "namespace": "other"}}
    assert [group["name"] for group in alerts([one, other])["groups"]] == ["toy-production-server-g", "other-server-g"]
