"""What was merged of a release is taken in: the registry's aliases follow production, git keeps who agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.adapters import bot
from ci.core.forge import Approval

if TYPE_CHECKING:
    from ci.adapters.forge import Forge
    from ci.commands.merged import Base
    from ci.core.history import ManifestChange
    from ci.core.params import Releasing

WEB_FLOW = "GitHub"  # who commits what is merged in the browser or by the API


def settle(base: Base, forge: Forge, model: str, rules: Releasing) -> None:
    """Take in every change of the model's release.yaml files that has no note yet.

    The notes come last: while one is missing, all of this is done again.
    """
    bot.give_notes(base.root, forge)
    new = [change for change in base.changes(model) if change.note is None]
    if new and (runs := base.release(model, list(rules.environments)[-1])) is not None:
        from ci.commands import registering  # noqa: PLC0415 - MLflow takes a second to import

        registering.follow(base.root, model, runs)
    for change in new:
        if (approval := _approval(forge, change)) is None:
            print(f"{model}: {forge.name} does not say yet who agreed to {change.commit[:12]}")
            continue
        bot.note(base.root, forge, change.commit, approval.model_dump_json())
        print(f"{model}: git keeps who agreed to {change.commit[:12]} in {change.environment}")


def _approval(forge: Forge, change: ManifestChange) -> Approval | None:
    """Who agreed, as the forge knows; of a commit that no pull request brought, what git itself says.

    None for one that GitHub itself committed, as it does with what it merges: its index lags behind, and a note is
    for good.
    """
    found = forge.approval(change.commit)
    if found is None and change.committer == WEB_FLOW:
        return None
    return found or Approval(pull=None, url=None, merged_by=change.committer, approved_by=change.reviewed_by)
