"""`trunkline rollback`: back to an earlier release by hand, by the digest of its image; nothing is built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import forge, git, history, locks, rollouts, shell, templates
from ci.commands import bringing, merged, settling
from ci.commands.rollout import chosen
from ci.core.bot import Proposal
from ci.core.canary import progress
from ci.core.errors import TrunklineError
from ci.core.image import reference
from ci.core.loglines import quiet
from ci.core.release import dump, path_of, release
from ci.core.rollouts import changing, telling, ways_back
from ci.core.rollouts.ways_back import AlreadyBack

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from ci.adapters.forge import Forge
    from ci.commands.merged import Base
    from ci.core.bot import Read
    from ci.core.history import ManifestChange
    from ci.core.params import Releasing
    from ci.core.release import Version

MOST = 10  # other versions whose images are looked for where one is gone


class ImageGone(TrunklineError):
    """The registry has the image of an earlier release no more (exit code 3)."""

    exit_code = 3


class Overtaken(TrunklineError):
    """What was to be gone back from is another release by now (exit code 2)."""

    exit_code = 2


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--to", metavar="VERSION", help="its number, digest or a hash of it; the one before without")
    parser.add_argument("--environment", metavar="NAME", help="which one; the last of params.yaml when none is named")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for the commit's message")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the earlier release; again, it finds that done, and lets what follows it follow."""
    root, model = Path.cwd(), args.model
    git.require_repository(root)
    history.require_whole(root)
    there = forge.of(root)
    base = merged.at_forge(root, there)
    rules, places = chosen(base, [model], args.environment or None)  # a workflow's empty input names none
    environment = places[-1][1]
    with locks.exclusive(root / ".trunkline" / f"rollout-{model}.lock", f"another rollout of {model}"):
        try:
            words = _go_back(base, there, rules, model, environment, args.to or None, args.reason)
        except AlreadyBack as already:
            words = already.message
        print(f"{model}: {environment}: {quiet(words)}")
        settling.settle(merged.at_forge(root, there), there, model, rules)
    return 0


def _go_back(
    base: Base, there: Forge, rules: Releasing, model: str, environment: str, to: str | None, reason: str
) -> str:
    """Bring it to the default branch; what came of it. Raises what `ways_back.back` does, and ImageGone."""
    root, how, path = base.root, rules.environments[environment], path_of(model, environment)
    now, before = base.release(model, environment), base.read(path)
    changes = base.changes(model, environment)
    back = ways_back.back(changes, to, f"{model} in {environment}")
    if now is None or back.version.image != now.spec.stable.image:
        _require_image(back.version, changes, rules, path)
    made = release(model, environment, stable=back.version)

    def compute(read: Read) -> Mapping[str, str | None]:
        text = read(path)
        if text == dump(made):
            return {}
        if text != before:
            raise Overtaken(f"{path} was changed by another while this ran; look at it, and run this again.")
        return bringing.going_back(root, made, back)

    title = f"Go back to {model} {back.version.version} in {environment}"
    seen = rollouts.read(root, there, [(model, environment)])[model, environment].rollout
    shown = seen if seen is not None and now is not None and progress.is_of(seen, now) else None
    proposal = Proposal(
        branch=changing.branch(model, environment),
        title=title,
        body=templates.render_rollback(telling.by_hand(back, reason, _who(root)), shown),
        message=telling.going_back(title, back, reason, _who(root), shown),
        compute=compute,
        labels=tuple(how.labels),
        auto_merge=True,
        anew=True,
    )
    done = bringing.bring(root, there, proposal, at_once=how.rollback == "push")
    return f"back to version {back.version.version}, {back.version.image}: {done}"


def _require_image(version: Version, changes: Sequence[ManifestChange], rules: Releasing, path: str) -> None:
    """Raise ImageGone unless the registry has the image of a version, asked by its digest."""
    from ci.adapters import registry  # noqa: PLC0415 - docker's SDK is imported only where a registry is asked

    def is_there(one: Version) -> bool:
        model = one.lineage.model
        reference.require_ours(one.image, rules.registry, model, file=path)
        return registry.find(one.image, home=rules.registry.partition("/")[0]) is not None

    if is_there(version):
        return
    others = [one for one in ways_back.images(changes) if one.image != version.image][:MOST]
    left = ", ".join(one.version for one in others if is_there(one))
    raise ImageGone(
        f"The registry has the image {version.image} of version {version.version} no more, so nothing could run it; "
        + (f"name one that it has with --to: {left}." if left else "release the version anew.")
    )


def _who(root: Path) -> str:
    """Who asks: in GitHub Actions who started the job, else who git says works here."""
    if actor := os.environ.get("GITHUB_ACTOR"):
        return actor
    told = shell.run(["git", "var", "GIT_AUTHOR_IDENT"], cwd=root, check=False).out
    return told.partition(" <")[0].strip() or "somebody whom git does not know"
