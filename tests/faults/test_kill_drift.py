"""Kill -9 of a look at drift while it reads: nothing goes on that would write into the folder of the next look."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.project import IDENTITY, ROOT
from tests.watching import END, Watched, rows

if TYPE_CHECKING:
    from pathlib import Path


def test_a_look_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    model = Watched(tmp_path)
    model.answer(rows())
    asked, left = threading.Semaphore(0), threading.Semaphore(0)

    class Endless(SimpleHTTPRequestHandler):
        """Says which files there are, and gives none of them."""

        def do_GET(self) -> None:
            if not self.path.endswith(".parquet"):
                super().do_GET()
                return
            asked.release()
            if self.connection.recv(1) == b"":
                left.release()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Endless, directory=str(model.log))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        words = ["-m", "ci.cli", "drift", "churn", "--end", END.isoformat(), "--log", url, "--workers", "2"]
        env = {**os.environ, **IDENTITY, "PYTHONPATH": str(ROOT)}
        look = subprocess.Popen([sys.executable, *words], cwd=model.root, env=env)
        assert all(asked.acquire(timeout=120) for _ in range(2))
        look.kill()
        look.wait()
        assert all(left.acquire(timeout=30) for _ in range(2))
        server.shutdown()
