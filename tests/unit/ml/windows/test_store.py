"""A store that is a server: what it refuses, or fails to give, is no file that is damaged."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from ml.errors import ENVIRONMENT, StageError
from ml.windows import labels, log, store
from ml.windows.store import Store
from tests.unit.ml.windows.logs import TASK, every, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHOLE = 10**9


class Files(ThreadingHTTPServer):
    """The files in a folder; content is refused, or cut short, as often as `failures` says."""

    def __init__(self, folder: Path) -> None:
        self.failures = 0
        self.status = 500
        self.asked = 0
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(SimpleHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        is_content = self.path.endswith(".parquet")
        self.server.asked += is_content
        if not is_content or self.server.failures <= 0:
            super().do_GET()
            return
        self.server.failures -= 1
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b"PAR1")
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called there
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(store, "PAUSES", (0.0, 0.0))
    with Files(tmp_path) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("status", [503, 200])
def test_a_store_that_fails_is_asked_again(served: Files, tmp_path: Path, status: int) -> None:
    write(tmp_path / "log", every(3600, 2))
    served.status, served.failures = status, 2
    url = f"{served.url}/log"
    part = log.read(TASK, url, log.files(url, TASK), None)
    assert (part.profile.rows, part.damaged) == (2, {})


@pytest.mark.parametrize("status", [500, 403, 200])
def test_what_a_store_does_not_give_is_no_damaged_file(served: Files, tmp_path: Path, status: int) -> None:
    write(tmp_path / "log", every(3600, 2))
    (tmp_path / "labels").mkdir()
    pl.DataFrame({"id": ["r0"], "label": [1]}).write_parquet(tmp_path / "labels" / "a.parquet")
    served.status, served.failures = status, WHOLE
    url = f"{served.url}/log"
    with pytest.raises(StageError, match=rf"{url} does not answer: .*try again") as told:
        log.read(TASK, url, log.files(url, TASK), None)
    assert told.value.exit_code == ENVIRONMENT
    assert served.asked == 3
    with pytest.raises(StageError, match="/labels does not answer"):
        labels.read(f"{served.url}/labels", binary=True)
    with pytest.raises(StageError, match="/log does not answer"):
        next(log.ids(TASK, url))


def test_a_store_that_takes_too_long_for_names_is_not_waited_for(
    served: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LONGEST", 0.1)
    forever = threading.Event()
    monkeypatch.setattr(Handler, "do_GET", lambda _: forever.wait())
    try:
        with pytest.raises(StageError, match=r"does not answer: \w*Timeout") as told:
            Store(served.url).exists("log")
        assert told.value.exit_code == ENVIRONMENT
    finally:
        forever.set()


def test_rows_and_labels_lie_in_any_folder_below(tmp_path: Path) -> None:
    known = pl.DataFrame({"id": ["a"], "label": [1]})
    for name in ("2026/11/a.parquet", "b.parquet", "2026/_c.parquet", ".d.parquet", "e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        known.write_parquet(tmp_path / name)
    there = ["2026/11/a.parquet", "b.parquet"]
    for url in (str(tmp_path), f"file://{tmp_path}", f"local://{tmp_path}"):
        found = Store(url)
        assert [found.name(path) for path in found.parquet()] == there
    assert labels.read(str(tmp_path), binary=True).read == 2
    assert Store(str(tmp_path / "nowhere")).parquet() == []
