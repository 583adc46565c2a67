"""The loop of a preview: what is wanted, what runs, and one step from this to that, again and again."""

from __future__ import annotations

import secrets
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.adapters import files, probes
from ci.adapters.programs import Program, free_port
from ci.core.errors import EnvironmentFault, TrunklineError
from ci.core.preview import changes, pods, routes, scraping
from ci.core.preview.changes import Health, Kind, Seen
from ci.core.preview.shown import Shown, ShownPod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ci.adapters.pods import Pod, Runner
    from ci.adapters.scraper import Scraper
    from ci.adapters.traefik import Traefik
    from ci.commands.following import Manifests
    from ci.core.preview.pods import Wanted
    from ci.core.preview.routes import Rule

THREADS = 16
SETTLED = 60.0  # seconds after which a container that runs may fail as if for the first time
VERSION, TRACK = "trunkline.dev/version", "trunkline.dev/track"
FILE = "preview.json"


@dataclass
class _Pod:
    """A pod of the preview; times are of the monotonic clock."""

    id: str
    wanted: Wanted
    port: int
    starting: Future[Pod] | None = None
    pod: Pod | None = None
    health: Health | None = None
    since: float = 0.0
    restarts: int = 0
    failures: int = 0
    again_at: float | None = None
    due: dict[Kind, float] = field(default_factory=dict)
    asked: dict[Kind, Future[bool]] = field(default_factory=dict)
    leaving: threading.Thread | None = None

    @property
    def name(self) -> str:
        """As a person reads it."""
        return f"{self.wanted.namespace}/{self.id}"

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.health is not None and self.health.ready

    @property
    def runs(self) -> bool:
        """Whether its container was started, and is not known to have ended."""
        return self.pod is not None and self.again_at is None and self.starting is None


class _Kept:
    """Traefik or Prometheus: started again where it ends by itself."""

    def __init__(self, start: Callable[[], Program]) -> None:
        self._start = start
        self._failures = 0
        self._again_at = 0.0
        self._since = time.monotonic()
        self.program: Program | None = start()

    def look(self, now: float, say: Callable[[str], None]) -> None:
        """Start it again where that is due."""
        if self.program is not None and (code := self.program.ended()) is not None:
            self._failures = 1 if now - self._since > SETTLED else self._failures + 1
            wait = changes.pause(self._failures)
            said = self.program.last_words()
            say(f"{self.program.name} ended with {code} ({said or 'it said nothing'}); started again in {wait:g} s")
            self.program, self._again_at = None, now + wait
        if self.program is None and now >= self._again_at:
            self.program, self._since = self._start(), now


class Preview:
    """What runs on this machine of one environment; everything happens in `step`, but for waiting."""

    def __init__(
        self, place: Path, runner: Runner, traefik: Traefik, scraper: Scraper | None, say: Callable[[str], None]
    ) -> None:
        self._place = place
        self._runner = runner
        self._traefik = traefik
        self._scraper = scraper
        self._say = say
        self._pods: dict[str, _Pod] = {}
        self._wanted: list[Wanted] = []
        self._rules: list[Rule] = []
        self._manifests: Manifests | None = None
        self._serving: Mapping[str, Sequence[str]] = {}
        self._written: dict[str, Any] = {}
        self._generation = 0
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="preview")
        self._programs: list[_Kept] = []
        self._shown: Shown | None = None

    def want(self, manifests: Manifests) -> None:
        """Take other manifests. Raises ConfigurationError, and stays with those before, where it cannot run them."""
        wanted = pods.wanted(manifests.objects)
        ranked = routes.rules(manifests.objects, wanted)
        for line in _told(self._rules, ranked):
            self._say(line)
        self._wanted, self._rules, self._manifests = wanted, ranked, manifests
        if self._scraper is not None:
            made = scraping.configuration(
                manifests.objects,
                targets=str(self._scraper.targets),
                rules=str(self._scraper.alerts),
                traefik=self._traefik.metrics,
            )
            running = self._programs[1].program if len(self._programs) > 1 else None
            self._scraper.write(made, scraping.alerts(manifests.objects), running)

    def start(self) -> None:
        """Start Traefik and Prometheus, with nothing behind them yet."""
        self._route({})
        self._programs.append(_Kept(self._traefik.start))
        if self._scraper is not None:
            self._programs.append(_Kept(self._scraper.start))
        if not self._traefik.has(self._named()):
            program = self._programs[0].program
            said = program.last_words() if program else ""
            raise EnvironmentFault(f"Traefik does not answer at {self._traefik.metrics}: {said or 'it says nothing'}.")

    @property
    def settled(self) -> bool:
        """Whether all that is wanted is ready, and gets the requests."""
        up = {one.owner: 0 for one in self._wanted}
        for pod in self._pods.values():
            if pod.leaving is None and pod.ready:
                up[pod.wanted.owner] = up.get(pod.wanted.owner, 0) + (pod.wanted.key == self._key(pod.wanted.owner))
        return all(up[one.owner] >= one.replicas for one in self._wanted)

    def step(self) -> None:
        """Look at everything once, and do what is due."""
        now = time.monotonic()
        for kept in self._programs:
            kept.look(now, self._say)
        for pod in [one for one in self._pods.values() if one.leaving is None]:
            self._look(pod, now)
        seen = [
            Seen(one.id, one.wanted.owner, one.wanted.key, one.ready, one.leaving is not None)
            for one in self._pods.values()
        ]
        plan = changes.plan(self._wanted, seen)
        for wanted, count in plan.start:
            for _ in range(count):
                self._begin(wanted, now)
        if self._turn(plan.serving):
            for name in plan.leave:
                self._leave(self._pods[name])
        for name in [one.id for one in self._pods.values() if one.leaving is not None and not one.leaving.is_alive()]:
            del self._pods[name]
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
                    address=f"127.0.0.1:{one.port}",
                    runs=one.pod.id if one.pod else "",
                    ready=one.ready,
                    serving=one.id in serving,
                    restarts=one.restarts,
                )
                for one in sorted(self._pods.values(), key=lambda one: (one.wanted.owner, one.id))
                if one.leaving is None
            ),
        )

    def end(self) -> None:
        """End all that was started: Traefik first, which lets no request in any more, and then the pods."""
        self._ended.set()
        for kept in self._programs:
            if kept.program is not None:
                kept.program.end()
        for one in self._pods.values():
            if one.leaving is None:
                self._leave(one)
        for one in self._pods.values():
            if one.leaving is not None:
                one.leaving.join()
        self._pool.shutdown()
        (self._place / FILE).unlink(missing_ok=True)

    def _key(self, owner: str) -> str:
        return next((one.key for one in self._wanted if one.owner == owner), "")

    def _begin(self, wanted: Wanted, now: float) -> None:
        name = f"{wanted.namespace}-{wanted.name}-{wanted.key[:5]}-{secrets.token_hex(3)}"
        pod = _Pod(name, wanted, free_port(), since=now)
        pod.starting = self._pool.submit(self._runner.start, name, wanted, pod.port)
        self._pods[name] = pod

    def _look(self, pod: _Pod, now: float) -> None:
        """Whether a pod runs, and what its probes say."""
        if pod.starting is not None:
            self._started(pod, now)
        elif pod.again_at is not None:
            if now >= pod.again_at:
                self._restart(pod)
        elif pod.pod is not None and (code := pod.pod.ended()) is not None:
            self._failed(pod, now, f"ended with {code} ({pod.pod.last_words() or 'it said nothing'})")
        elif pod.health is not None:
            self._probe(pod, pod.health, now)

    def _started(self, pod: _Pod, now: float) -> None:
        if pod.starting is None or not pod.starting.done():
            return
        done, pod.starting = pod.starting, None
        try:
            pod.pod = done.result()
        except TrunklineError as fault:
            self._failed(pod, now, f"could not be started: {fault.message}")
        else:
            self._alive(pod, now)

    def _alive(self, pod: _Pod, now: float) -> None:
        pod.again_at, pod.since, pod.asked = None, now, {}
        pod.health = Health.of(pod.wanted)
        pod.due = {}

    def _restart(self, pod: _Pod) -> None:
        pod.again_at = None
        pod.restarts += 1
        known = pod.pod
        if known is None:
            pod.starting = self._pool.submit(self._runner.start, pod.id, pod.wanted, pod.port)
            return

        def again() -> Pod:
            known.again()
            return known

        pod.starting = self._pool.submit(again)

    def _failed(self, pod: _Pod, now: float, words: str) -> None:
        """Say so, and start it again after a while that grows."""
        pod.failures = 1 if now - pod.since > SETTLED else pod.failures + 1
        pod.health = None
        wait = changes.pause(pod.failures)
        pod.again_at = now + wait
        kept = [name for name in self._serving.get(pod.wanted.owner, ()) if name != pod.id]
        rest = f"; {len(kept)} of its Deployment's pods go on serving" if kept else ""
        self._say(f"{pod.name} {words}; started again in {wait:g} s{rest}")

    def _probe(self, pod: _Pod, health: Health, now: float) -> None:
        for kind, future in list(pod.asked.items()):
            if future.done():
                del pod.asked[kind]
                before, health = health, health.after(kind, pod.wanted, content=future.result())
                if before.ready and not health.ready:
                    self._say(f"{pod.name} is not ready any more; it gets no requests until it is")
        pod.health = health
        if health.broken and pod.pod is not None:
            self._say(f"{pod.name} does not answer its probe any more, or not yet; its container is ended")
            pod.health = None
            pod.pod.signal(signal.SIGKILL)
            return
        for kind in health.due(pod.wanted):
            probe = getattr(pod.wanted, kind)
            if kind not in pod.asked and now >= pod.due.get(kind, pod.since + probe.delay):
                pod.due[kind] = now + probe.period
                pod.asked[kind] = self._pool.submit(probes.content, pod.port, probe.path, probe.timeout)

    def _turn(self, serving: Mapping[str, Sequence[str]]) -> bool:
        """Let these pods have the requests, by Deployment; gives whether Traefik does so by now."""
        addresses = {
            owner: [f"http://127.0.0.1:{self._pods[name].port}" for name in sorted(names)]
            for owner, names in serving.items()
        }
        if self._route(addresses) and not self._traefik.has(self._named()):
            self._written = {}
            self._say("Traefik has not taken the newest routes; what was there before goes on serving")
            return False
        for owner, names in serving.items():
            if (before := self._serving.get(owner)) is not None and set(names) != set(before):
                version = next((self._pods[name].wanted.labels.get(VERSION, "") for name in names), "")
                self._say(
                    f"{owner}: {len(names)} pods get its requests, version {version}"
                    if names
                    else f"{owner}: no pod is ready"
                )
        self._serving = {owner: tuple(names) for owner, names in serving.items()}
        if self._scraper is not None and self._manifests is not None:
            running: dict[str, list[tuple[str, str, Mapping[str, str]]]] = {}
            for one in self._pods.values():
                if one.leaving is None and one.pod is not None:
                    running.setdefault(one.wanted.owner, []).append(
                        (one.id, f"127.0.0.1:{one.port}", one.wanted.labels)
                    )
            self._scraper.aim(scraping.targets(self._manifests.objects, self._wanted, running))
        return True

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

    def _leave(self, pod: _Pod) -> None:
        """Let a pod that gets no more requests finish what it has, as long as its manifests give it."""
        pod.leaving = threading.Thread(target=self._let_go, args=(pod,), name=f"leaving {pod.id}")
        pod.leaving.start()

    def _let_go(self, one: _Pod) -> None:
        try:
            if one.starting is not None:
                with suppress(TrunklineError):
                    one.pod = one.starting.result()
            if (pod := one.pod) is None:
                return
            until = time.monotonic() + one.wanted.grace
            self._ended.wait(one.wanted.pre_stop)
            pod.signal(signal.SIGTERM)
            hurried = False
            while pod.ended() is None and time.monotonic() < until:
                if self._ended.is_set() and not hurried:
                    pod.signal(signal.SIGTERM)  # the second tells the server that nobody sends any more
                    hurried = True
                time.sleep(0.05)
            pod.remove()
        except TrunklineError as fault:
            self._say(f"{one.name} could not be taken away: {fault.message}")

    def _tell(self) -> None:
        """Keep preview.json as things are."""
        shown = self.shown()
        if shown != self._shown:
            files.write_record(self._place / FILE, shown)
            self._shown = shown


def _told(before: Sequence[Rule], after: Sequence[Rule]) -> list[str]:
    """What another set of routes changes, a line each."""
    known = {rule.name: rule for rule in before}
    lines = []
    for rule in after:
        old = known.get(rule.name)
        if old is None or (old.backends, old.mirrors, old.rule) == (rule.backends, rule.mirrors, rule.rule):
            continue
        shares = ", ".join(f"{one.service} {one.weight}" for one in rule.backends)
        copies = "".join(f", {percent} % copied to {one.service}" for one, percent in rule.mirrors)
        lines.append(f"route {rule.name}: {shares}{copies}")
    return lines
