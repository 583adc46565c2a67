"""The door to Prometheus: raw samples of counters, by its HTTP API."""

from __future__ import annotations


class Prometheus:
    """A Prometheus server, by its address (`http://127.0.0.1:9090`)."""

    def __init__(self, url: str) -> None:
        self.url = url
