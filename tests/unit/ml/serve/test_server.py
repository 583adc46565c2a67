"""A server that cannot go on says so and ends with the exit code of its surroundings."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from granian.server.embed import Server

from ml.serve.model import Model
from ml.serve.server import serve
from ml.serve.settings import Settings
from tests.unit.ml.serve import models

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_http_server_that_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Server) -> None:
        raise OSError("no more sockets")

    monkeypatch.setattr(Server, "serve", fail)
    model = Model.load(models.pack(tmp_path, models.matrix()))
    with caplog.at_level(logging.INFO):
        assert asyncio.run(serve(model, Settings.of({"HOST": "127.0.0.1"}))) == 2
    assert "the HTTP server ended by itself: no more sockets" in caplog.text
