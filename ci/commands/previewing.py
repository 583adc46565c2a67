"""The loop of a preview: what is wanted, what runs, and one step from this to that, again and again."""

from __future__ import annotations

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ci.adapters import files
from ci.commands.minding import Kept, Minded
from ci.core.errors import EnvironmentFault
from ci.core.preview import changes, pods, routes, scraping
from ci.core.preview.changes import Seen
from ci.core.preview.shown import Shown, ShownPod

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ci.adapters.pods import Runner
    from ci.adapters.scraper import Scraper
    from ci.adapters.traefik import Traefik
    from ci.commands.following import Manifests
    from ci.commands.minding import Say
    from ci.core.preview.pods import Wanted
    from ci.core.preview.routes import Rule

THREADS = 16
VERSION, TRACK = "trunkline.dev/version", "trunkline.dev/track"
FILE = "preview.json"


class Preview:
    """What runs on this machine of one environment. One thread calls this; what waits, waits in others."""

    def __init__(self, place: Path, runner: Runner, traefik: Traefik, scraper: Scraper | None, say: Say) -> None:
        self._place = place
        self._runner = runner
        self._traefik = traefik
        self._scraper = scraper
        self._say = say
        self._pods: dict[str, Minded] = {}
        self._wanted: list[Wanted] = []
        self._rules: list[Rule] = []
        self._manifests: Manifests | None = None
        self._serving: Mapping[str, Sequence[str]] = {}
        self._written: dict[str, Any] = {}
        self._generation = 0
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="preview")
        self._router: Kept | None = None
        self._watcher: Kept | None = None
        self._shown: Shown | None = None

    def want(self, manifests: Manifests) -> None:
        """Take other manifests. Raises ConfigurationError, and stays with those before, where it cannot run them."""
        wanted = pods.wanted(manifests.objects)
        ranked = routes.rules(manifests.objects, wanted)
        for line in routes.told(self._rules, ranked):
            self._say(line)
        self._wanted, self._rules, self._manifests = wanted, ranked, manifests
        if self._scraper is not None:
            made = scraping.configuration(
                manifests.objects,
                targets=str(self._scraper.targets),
                rules=str(self._scraper.alerts),
                traefik=self._traefik.metrics,
            )
            running = self._watcher.program if self._watcher else None
            self._scraper.write(made, scraping.alerts(manifests.objects), running)

    def start(self) -> None:
        """Start Traefik and Prometheus, with nothing behind them yet. Raises EnvironmentFault."""
        self._route({})
        self._router = Kept(self._traefik.start, self._say)
        if self._scraper is not None:
            self._watcher = Kept(self._scraper.start, self._say)
        if not self._traefik.has(self._named()):
            said = self._router.program.last_words() if self._router.program else ""
            raise EnvironmentFault(f"Traefik does not answer at {self._traefik.metrics}: {said or 'it says nothing'}.")

    @property
    def settled(self) -> bool:
        """Whether all pods that are wanted are ready."""
        up = [(pod.wanted.owner, pod.wanted.key) for pod in self._pods.values() if pod.ready and not pod.leaves]
        return all(up.count((one.owner, one.key)) >= one.replicas for one in self._wanted)

    def step(self) -> None:
        """Look at everything once, and do what is due."""
        now = time.monotonic()
        for kept in (self._router, self._watcher):
            if kept is not None:
                kept.look(now)
        for pod in self._pods.values():
            if not pod.leaves:
                pod.look(now)
        plan = changes.plan(
            self._wanted,
            [Seen(one.id, one.wanted.owner, one.wanted.key, one.ready, one.leaves) for one in self._pods.values()],
        )
        for wanted, count in plan.start:
            for _ in range(count):
                name = f"{wanted.namespace}-{wanted.name}-{wanted.key[:5]}-{secrets.token_hex(3)}"
                self._pods[name] = Minded(name, wanted, self._runner, self._pool, self._say)
        if self._turn(plan.serving):  # before that Traefik may still send requests to those that are to leave
            for name in plan.leave:
                self._pods[name].leave(self._ended)
        self._pods = {name: pod for name, pod in self._pods.items() if not pod.gone}
        self._tell()

    def shown(self) -> Shown:
        """What runs now."""
        serving = {name for names in self._serving.values() for name in names}
        return Shown(
            manifests=self._manifests.words if self._manifests else "",
            url=self._traefik.url,
            traefik=self._traefik.metrics,
            prometheus=self._scraper.url if self._scraper else None,
            pods=tuple(
                ShownPod(
                    name=one.id,
                    owner=one.wanted.owner,
                    image=one.wanted.image,
                    version=one.wanted.labels.get(VERSION, ""),
                    track=one.wanted.labels.get(TRACK, ""),
                    address=one.address,
                    runs=one.pod.id if one.pod else "",
                    ready=one.ready,
                    serving=one.id in serving,
                    restarts=one.restarts,
                )
                for one in sorted(self._pods.values(), key=lambda one: (one.wanted.owner, one.id))
                if not one.leaves
            ),
        )

    def end(self) -> None:
        """End all that was started: Traefik first, which lets no request in any more, and then the pods."""
        self._ended.set()
        for kept in (self._router, self._watcher):
            if kept is not None:
                kept.end()
        for pod in self._pods.values():
            if not pod.leaves:
                pod.leave(self._ended)
        for pod in self._pods.values():
            pod.join()
        self._pool.shutdown()
        (self._place / FILE).unlink(missing_ok=True)

    def _turn(self, serving: Mapping[str, Sequence[str]]) -> bool:
        """Let these pods have the requests, by Deployment; gives whether Traefik does so by now."""
        addresses = {
            owner: [f"http://{self._pods[name].address}" for name in sorted(names)] for owner, names in serving.items()
        }
        if self._route(addresses) and not self._traefik.has(self._named()):
            self._written = {}
            self._say("Traefik has not taken the newest routes; those before go on, and no pod is taken away")
            return False
        for owner, names in serving.items():
            if (before := self._serving.get(owner)) is not None and set(names) != set(before):
                version = next((self._pods[name].wanted.labels.get(VERSION, "") for name in names), "")
                told = f"version {version} gets its requests, at {len(names)} pods" if names else "no pod is ready"
                self._say(f"{owner}: {told}")
        self._serving = {owner: tuple(names) for owner, names in serving.items()}
        self._aim()
        return True

    def _aim(self) -> None:
        """Have the pods scraped that were started and do not leave."""
        if self._scraper is None or self._manifests is None:
            return
        running: dict[str, list[tuple[str, str, Mapping[str, str]]]] = {}
        for one in self._pods.values():
            if one.pod is not None and not one.leaves:
                running.setdefault(one.wanted.owner, []).append((one.id, one.address, one.wanted.labels))
        self._scraper.aim(scraping.targets(self._manifests.objects, self._wanted, running))

    def _route(self, addresses: Mapping[str, Sequence[str]]) -> bool:
        """Write Traefik's configuration where it is another than before."""
        made = routes.configuration(self._rules, addresses, "")
        if made == self._written:
            return False
        self._written = made
        self._generation += 1
        self._traefik.write(routes.configuration(self._rules, addresses, self._named()))
        return True

    def _named(self) -> str:
        return f"generation-{self._generation}"

    def _tell(self) -> None:
        """Keep preview.json as things are."""
        shown = self.shown()
        if shown != self._shown:
            files.write_record(self._place / FILE, shown)
            self._shown = shown
