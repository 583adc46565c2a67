"""One model's rollout in one environment: look, keep what was seen, and make the decision true on release.yaml.

What counts is what the forge has: a run that is killed anywhere, or two at once, come to one record, one pull request
or commit, and one issue.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import time as now
from typing import TYPE_CHECKING

from ci.adapters import rollouts, templates
from ci.adapters.prometheus import Prometheus, address
from ci.commands import analysis, bringing, engine, merged, settling
from ci.core import argo
from ci.core.bot import Proposal
from ci.core.canary import progress
from ci.core.errors import EnvironmentFault, TrunklineError
from ci.core.loglines import quiet
from ci.core.release import dump, parse, path_of
from ci.core.rollouts import changing, telling, ways_back

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ci.adapters.forge import Forge
    from ci.adapters.rollouts import Kept
    from ci.commands.merged import Base
    from ci.core.bot import Read
    from ci.core.canary.records import Rollout
    from ci.core.params import Releasing
    from ci.core.release import Release, Version

ROUNDS = 5  # looks that others may overtake before it is said
MERGED = "It is merged by itself once all that is required of it holds."
WAITS = "It waits for a person: merging this is the approval that params.yaml asks for."
UNDERSTOOD = (
    "Until the rollback is on the default branch, the canary goes on answering: see its pull request where it was not \
pushed. Whoever has understood why closes this issue. Another version is released as ever; to have this one again, \
revert the commit that took it back."
)


@dataclass(frozen=True)
class Rolling:
    """A rollout, whether it is under way or over."""

    root: Path
    forge: Forge
    model: str
    environment: str
    releasing: Releasing

    def go(self, *, dry_run: bool = False) -> None:
        """Look, and do what that comes to. Raises EnvironmentFault where Prometheus or the forge cannot be reached."""
        for _ in range(ROUNDS):
            base = merged.at_forge(self.root, self.forge)
            release, kept = base.release(self.model, self.environment), self._kept()
            if release is None or release.spec.canary is None:
                self._say("nothing is being rolled out")
                if not dry_run:
                    self._end(base, kept)
                return
            rollout = self._look(base, release, release.spec.canary, kept)
            self._say(f"{rollout.decision.action}: {rollout.decision.words}", *rollout.decision.facts)
            if dry_run:
                return
            if (now := rollouts.write(self.root, self.forge, rollout, kept)) is not None:
                self._make_true(base, release, rollout, again=kept.rollout)
                self._end(merged.at_forge(self.root, self.forge), now, told=rollout.decision.action == "rollback")
                return
        raise EnvironmentFault(
            f"the rollout of {self.model} in {self.environment} was looked at by others {ROUNDS} times while this ran; "
            "run it again."
        )

    def _kept(self) -> Kept:
        place = (self.model, self.environment)
        return rollouts.read(self.root, self.forge, [place])[place]

    def _look(self, base: Base, release: Release, canary: Version, kept: Kept) -> Rollout:
        """What was seen up to now. A rollback that was decided stays so: it takes nothing more to be seen."""
        before = kept.rollout
        when = ways_back.came(base.changes(self.model, self.environment), canary)
        since = datetime.fromisoformat(when).timestamp() if when else None
        if before is not None and (kept.ended or not progress.goes_on(before, release, since)):
            before = None
        if before is not None and before.decision.action == "rollback":
            return before
        decided, at = engine.decided(base.read, release), now()
        try:
            seen = analysis.look(
                base.judged_by(self.model),
                release,
                self.releasing.environments[self.environment],
                before,
                Prometheus(address(self.releasing.prometheus)),
                now=at,
                since=since,
            )
        except EnvironmentFault:
            if decided is None or decided.action == "hold":
                raise
            # What became of the canary in the cluster is so, whatever there is to be read of it.
            seen = progress.at_weight(before or progress.start(release, since=at, now=at), release.spec.weights.canary)
        return changing.settled(before, argo.settled(seen, decided))

    def _make_true(self, base: Base, release: Release, rollout: Rollout, again: Rollout | None) -> None:
        """Have what was decided on the default branch; a pull request that `again` opened for it keeps its words."""
        decision, spec = rollout.decision, release.spec
        branch = changing.branch(self.model, self.environment)
        rules = self.releasing.environments[self.environment]
        gone = decision.action == "rollback"
        asked = bringing.asked(self.root, self.forge, branch, base.commit)
        if asked is not None and not (gone and rules.rollback == "push"):
            self._say(f"#{asked.number} {asked.title}: a person asked for it, so it is not touched; merge or close it")
            return
        if decision.action == "hold" or spec.canary is None:
            bringing.withdraw(self.root, self.forge, branch)
            return
        changes = base.changes(self.model, self.environment) if gone else []
        back = ways_back.taken_back(changes, spec.stable)
        waits, title = changing.waits(decision, rules), telling.title(rollout, release)

        def compute(read: Read) -> Mapping[str, str | None]:
            path = path_of(self.model, self.environment)
            text = read(path)
            made = changing.changed(None if text is None else parse(text, path), rollout)
            if made is None:
                return {}
            return bringing.going_back(self.root, made, back) if gone else {path: dump(made)}

        open_one = self.forge.find(branch) if again is not None and again.decision == decision else None
        body = templates.render_rollout(rollout, WAITS if waits else MERGED)
        proposal = Proposal(
            branch=branch,
            title=title,
            body=open_one.body if open_one is not None and open_one.title == title else body,
            message=telling.message(title, rollout, spec.stable if gone else spec.canary, back.reverts if back else ()),
            compute=compute,
            labels=tuple(rules.labels),
            reviewers=tuple(rules.reviewers) if waits else (),
            auto_merge=not waits,
        )
        try:
            self._say(bringing.bring(self.root, self.forge, proposal, at_once=gone and rules.rollback == "push"))
        except TrunklineError:
            if gone:  # a person has to know all the more
                self._tell(rollout)
            raise
        if gone:
            self._tell(rollout)

    def _tell(self, rollout: Rollout) -> None:
        """The one issue about a rollback. It comes after it, which nothing may keep back."""
        title = f"Rollback of {self.model} in {self.environment}"
        body = templates.render_rollout(rollout, UNDERSTOOD)
        url = self.forge.issue(telling.marker(rollout), title, body, [telling.LABEL])
        if url:
            self._say(f"issue {url}")

    def _end(self, base: Base, kept: Kept, *, told: bool = False) -> None:
        """Take in what the base has by now; the record of a canary that is gone is closed once all is told."""
        release, rollout = base.release(self.model, self.environment), kept.rollout
        if rollout is not None and not kept.ended and (release is None or not progress.is_of(rollout, release)):
            if rollout.decision.action == "rollback" and not told:
                self._tell(rollout)
            branch = changing.branch(self.model, self.environment)
            if bringing.asked(self.root, self.forge, branch, base.commit) is None:
                bringing.withdraw(self.root, self.forge, branch)
            rollouts.write(self.root, self.forge, rollout, kept, ended=True)
        settling.settle(base, self.forge, self.model, self.releasing)

    def _say(self, *lines: str) -> None:
        for line in lines:
            print(f"{self.model}: {self.environment}: {quiet(line)}")
