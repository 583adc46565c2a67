"""`python -m ml.serve.health`: whether the server in this container is ready; for a HEALTHCHECK without a shell."""

from __future__ import annotations

import http.client
import os
import sys

SECONDS = 2


def main() -> int:
    """0 when it is ready; 1 with a sentence when not."""
    port = os.environ.get("PORT") or "8080"
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=SECONDS)
    try:
        connection.request("GET", "/v2/health/ready")
        code = connection.getresponse().status
    except OSError as error:
        print(f"nothing answers on port {port}: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if code != 200:
        print(f"the server on port {port} is not ready: it answers {code}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
