"""A change of a release.yaml on its way to the default branch: pushed at once, or as a pull request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ci.adapters import bot, git, trees
from ci.core.bot import Proposal
from ci.core.errors import EnvironmentFault
from ci.core.release import dump, path_of
from ci.core.releasing import card_of
from ci.core.rollouts import telling

if TYPE_CHECKING:
    from pathlib import Path

    from ci.adapters.forge import Forge
    from ci.core.forge import Pull
    from ci.core.release import Release
    from ci.core.rollouts.ways_back import Back


def bring(root: Path, forge: Forge, proposal: Proposal, *, at_once: bool) -> str:
    """Bring it there; what came of it, in words. A push that is not let in is proposed instead."""
    if at_once:
        try:
            made = bot.append(root, forge, forge.base(), proposal.compute, proposal.message, lambda _: None)
        except EnvironmentFault as fault:
            print(f"trunkline: {fault.message} It is proposed instead.", file=sys.stderr)
        else:
            withdraw(root, forge, proposal.branch)
            return f"pushed as {made[:12]}" if made else f"{forge.base()} has it already"
    done = bot.propose(root, forge, proposal)
    return f"#{done.pull.number} {done.pull.url}, {done.action}" if done.pull else f"no pull request, {done.action}"


def withdraw(root: Path, forge: Forge, branch: str) -> None:
    """Close the pull request of a branch: what it brings is not wanted any more."""
    bot.propose(root, forge, Proposal(branch, title="", body="", message="", compute=lambda _: {}))


def asked(root: Path, forge: Forge, branch: str, base: str) -> Pull | None:
    """The open pull request by which a person asked to go back, as long as merging it into the commit `base` does that.

    It is nobody else's to close, or to make into something else.
    """
    ref = f"refs/heads/{branch}"
    pull = forge.find(branch)
    head = forge.remote.fetch(ref).get(ref) if pull is not None else None
    if head is None or not git.trailer(root, head, telling.ASKED):
        return None
    return pull if trees.merged(root, base, head) not in {None, trees.tree_of(root, base)} else None


def going_back(root: Path, made: Release, back: Back | None) -> dict[str, str | None]:
    """The files of a release that was there before: release.yaml, and the card of its version where there is one."""
    spec = made.spec
    path, card = path_of(spec.model, spec.environment), card_of(spec.model, spec.environment)
    text = git.show(root, back.card_at, card) if back else None
    return {path: dump(made), **({card: text} if text is not None else {})}
