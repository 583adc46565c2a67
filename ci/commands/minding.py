"""What a preview has started is looked after: pods are probed, and all that ends by itself is started again."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ci.adapters import probes
from ci.adapters.programs import free_port
from ci.core.errors import TrunklineError
from ci.core.preview import changes
from ci.core.preview.changes import Health

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from ci.adapters.pods import Pod, Runner
    from ci.adapters.programs import Program
    from ci.core.preview.changes import Kind
    from ci.core.preview.pods import Wanted

    Say = Callable[[str], None]

SETTLED = 60.0  # seconds after which what runs may fail as if for the first time


class Minded:
    """A pod on its way from its start to its end; nothing here waits. Times are of the monotonic clock."""

    def __init__(self, name: str, wanted: Wanted, runner: Runner, pool: Executor, say: Say) -> None:
        self.id = name
        self.wanted = wanted
        self.port = free_port()
        self.pod: Pod | None = None
        self.restarts = 0
        self._runner = runner
        self._pool = pool
        self._say = say
        self._health: Health | None = None
        self._since = time.monotonic()
        self._failures = 0
        self._again_at: float | None = None
        self._due: dict[Kind, float] = {}
        self._asked: dict[Kind, Future[bool]] = {}
        self._leaving: threading.Thread | None = None
        self._starting: Future[Pod] | None = pool.submit(runner.start, name, wanted, self.port)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self._health is not None and self._health.ready

    @property
    def leaves(self) -> bool:
        """Whether it was told to go."""
        return self._leaving is not None

    @property
    def gone(self) -> bool:
        """Whether it did."""
        return self._leaving is not None and not self._leaving.is_alive()

    def look(self, now: float) -> None:
        """See whether it runs, and what its probes say, and do what is due."""
        if self._starting is not None:
            self._started(now)
        elif self._again_at is not None:
            if now >= self._again_at:
                self._restart()
        elif self.pod is not None and (code := self.pod.ended()) is not None:
            self._failed(now, f"ended with {code} ({self.pod.last_words() or 'it said nothing'})")
        elif self._health is not None:
            self._probe(self._health, now)

    def leave(self, hurry: threading.Event) -> None:
        """Let it finish what it has, as long as its manifests give it, or, once `hurry` is set, as long as it needs."""
        self._leaving = threading.Thread(target=self._let_go, args=(hurry,), name=f"leaving {self.id}")
        self._leaving.start()

    def join(self) -> None:
        """Wait until it is gone."""
        if self._leaving is not None:
            self._leaving.join()

    def _started(self, now: float) -> None:
        if self._starting is None or not self._starting.done():
            return
        done, self._starting = self._starting, None
        try:
            self.pod = done.result()
        except TrunklineError as fault:
            self._failed(now, f"could not be started: {fault.message}")
        else:
            self._since, self._health = now, Health.of(self.wanted)
            self._due, self._asked = {}, {}

    def _restart(self) -> None:
        self._again_at = None
        self.restarts += 1
        known = self.pod
        if known is None:
            self._starting = self._pool.submit(self._runner.start, self.id, self.wanted, self.port)
            return

        def again() -> Pod:
            known.again()
            return known

        self._starting = self._pool.submit(again)

    def _failed(self, now: float, words: str) -> None:
        """Say so, and start it again after a while that grows."""
        self._failures = 1 if now - self._since > SETTLED else self._failures + 1
        self._health = None
        wait = changes.pause(self._failures)
        self._again_at = now + wait
        self._say(f"{self.id} {words}; started again in {wait:g} s, and gets no requests until it is ready")

    def _probe(self, health: Health, now: float) -> None:
        for kind, future in list(self._asked.items()):
            if future.done():
                del self._asked[kind]
                before, health = health, health.after(kind, self.wanted, content=future.result())
                if before.ready and not health.ready:
                    self._say(f"{self.id} is not ready any more; it gets no requests until it is")
        self._health = health
        if health.broken and self.pod is not None:
            self._say(f"{self.id} does not answer its probe any more, or not yet; its container is ended")
            self._health = None
            self.pod.signal(signal.SIGKILL)
            return
        for kind in health.due(self.wanted):
            probe = getattr(self.wanted, kind)
            if kind not in self._asked and now >= self._due.get(kind, self._since + probe.delay):
                self._due[kind] = now + probe.period
                self._asked[kind] = self._pool.submit(probes.content, self.port, probe.path, probe.timeout)

    def _let_go(self, hurry: threading.Event) -> None:
        try:
            if self._starting is not None:
                with suppress(TrunklineError):
                    self.pod = self._starting.result()
            if (pod := self.pod) is None:
                return
            until = time.monotonic() + self.wanted.grace
            hurry.wait(self.wanted.pre_stop)
            pod.signal(signal.SIGTERM)
            hurried = False
            while pod.ended() is None and time.monotonic() < until:
                if hurry.is_set() and not hurried:
                    pod.signal(signal.SIGTERM)  # the second tells the server that nobody sends any more
                    hurried = True
                time.sleep(0.05)
            pod.remove()
        except TrunklineError as fault:
            self._say(f"{self.id} could not be taken away: {fault.message}")


class Kept:
    """Traefik or Prometheus: started again where it ends by itself."""

    def __init__(self, start: Callable[[], Program], say: Say) -> None:
        self._start = start
        self._say = say
        self._failures = 0
        self._again_at = 0.0
        self._since = time.monotonic()
        self.program: Program | None = start()

    def look(self, now: float) -> None:
        """Start it again where that is due."""
        if self.program is not None and (code := self.program.ended()) is not None:
            self._failures = 1 if now - self._since > SETTLED else self._failures + 1
            wait = changes.pause(self._failures)
            said = self.program.last_words() or "it said nothing"
            self._say(f"{self.program.name} ended with {code} ({said}); started again in {wait:g} s")
            self.program, self._again_at = None, now + wait
        if self.program is None and now >= self._again_at:
            self.program, self._since = self._start(), now

    def end(self) -> None:
        """End it."""
        if self.program is not None:
            self.program.end()
