"""The process around the app: Granian in this process's event loop, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from typing import TYPE_CHECKING

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from ml.serve.app import App, State
from ml.serve.desk import Desk
from ml.serve.errors import CannotStart
from ml.serve.metrics import Metrics
from ml.serve.runner import Runner
from ml.serve.web import MAX_BODIES

if TYPE_CHECKING:
    from ml.serve.inferences import Inferences
    from ml.serve.model import Model
    from ml.serve.settings import Settings
    from ml.serve.traces import Traces

CONNECTIONS = 2048
HEADER_SECONDS = 620  # longer than gateways keep idle connections: who sends on one is to be the one who closes it
LAST_SECONDS = 10  # for the inference log to be stored, and again for traces to be sent
log = logging.getLogger("ml.serve")


def require_port(host: str, port: int) -> None:
    """Raise CannotStart when something listens there: Granian would share the port with it, unasked."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be listened on ({error.strerror})"
            raise CannotStart(f"{host}:{port} {reason}; set HOST and PORT to an address that is free") from error


async def serve(
    model: Model, settings: Settings, inferences: Inferences | None = None, traces: Traces | None = None
) -> int:
    """Serve until SIGTERM or SIGINT, answer all that was accepted, and return the exit code."""
    state = State()
    desk = Desk(settings.threads + settings.queue, MAX_BODIES)
    metrics = Metrics(model.record, lambda: desk.taken)
    runner = Runner(model, settings.threads, metrics.batched)
    if inferences:
        metrics.log = inferences.counts
    app = App(model, desk, runner, metrics, state, inferences.offer if inferences else None, traces)
    server = _http(app, settings)
    end = End(asyncio.get_running_loop())
    serving = asyncio.create_task(server.serve())
    told = asyncio.create_task(end.told.wait())
    log.info("%s %s on %s:%d", model.record.model, model.record.version, settings.host, settings.port)
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        told.cancel()
        log.error("the HTTP server ended by itself: %s", serving.exception() or "no reason given")
        _let_go(inferences, traces)
        return 2
    state.draining = True
    await end.grace(settings.grace_seconds)
    log.info("taking nothing new; answering what was accepted")
    server.stop()  # type: ignore[no-untyped-call]
    await serving
    runner.close()
    log.info("everything accepted is answered")
    _let_go(inferences, traces)
    return 0


def _let_go(inferences: Inferences | None, traces: Traces | None) -> None:
    if inferences:
        inferences.close(LAST_SECONDS)
    if traces:
        traces.close(LAST_SECONDS)


class End:
    """What signals say of this process's end: that it is to come, and that it is to come soon."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.told = asyncio.Event()
        self._hurried = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._tell, number)

    async def grace(self, seconds: int) -> None:
        """Wait, unless hurried, until whoever sends requests has learned of the end.

        They do so only after it has begun: Kubernetes takes a pod out of its Services as it sends SIGTERM, not before.
        """
        if seconds and not self._hurried.is_set():
            log.info("going: answering for %d seconds more what still comes", seconds)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurried.wait(), seconds)

    def _tell(self, number: signal.Signals) -> None:
        if self.told.is_set() or number == signal.SIGINT:
            self._hurried.set()
        self.told.set()


def _http(app: App, settings: Settings) -> Server:
    return Server(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        websockets=False,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,
        log_enabled=False,
    )
