"""Asking a pod whether it is well, as the kubelet does."""

from __future__ import annotations

import http.client


def content(port: int, path: str, timeout: float) -> bool:
    """Whether 127.0.0.1:`port` answers a GET within `timeout` seconds with a status from 200 to 399."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"User-Agent": "trunkline-preview"})
        return 200 <= connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
