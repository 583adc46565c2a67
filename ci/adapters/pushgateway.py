"""The door to a Prometheus Pushgateway: a group of series is put there whole, in the place of what it had."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ci.core.addresses import masked
from ci.core.errors import ConfigurationError, EnvironmentFault

VARIABLE = "TRUNKLINE_PUSHGATEWAY"
TIMEOUT = (5.0, 30.0)  # seconds to connect, and between two bytes of an answer
AGAIN = Retry(3, backoff_factor=1, status_forcelist=(429, 502, 503, 504), raise_on_status=False)  # putting is safe to


def put(url: str, job: str, model: str, text: str, content_type: str) -> None:
    """Put series under `job` and `model`. Raises ConfigurationError for what is no address, EnvironmentFault."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{VARIABLE} is {masked(url)}; set it to an address like http://127.0.0.1:9091.")
    with requests.Session() as session:
        session.mount(f"{parts.scheme}://", HTTPAdapter(max_retries=AGAIN))
        where = f"{url.rstrip('/')}/metrics/job/{quote(job, safe='')}/model/{quote(model, safe='')}"
        try:
            done = session.put(where, data=text.encode(), headers={"content-type": content_type}, timeout=TIMEOUT)
        except requests.RequestException as fault:
            raise EnvironmentFault(
                f"the Pushgateway at {masked(url)} gave no answer ({type(fault).__name__}); see to it."
            ) from None
    if not done.ok:
        said = " ".join(done.text.split())[:200]
        raise EnvironmentFault(
            f"the Pushgateway at {masked(url)} answered {done.status_code}: {said or 'nothing more'}."
        )
