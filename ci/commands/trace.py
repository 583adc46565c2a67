"""`trunkline trace`: from any name in the line to all that it is linked with, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters import dvc, files, git, history
from ci.commands import lineage
from ci.commands.console import console
from ci.commands.lineage import LOCK
from ci.core import tracing
from ci.core.errors import ConfigurationError, TrunklineError
from ci.core.lineage import of_lock
from ci.core.loglines import quiet
from ci.core.params import parse_root
from ci.core.registered import KEY
from ci.core.scope import scope
from ci.core.tracing import Chain, Link

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.tree import Tree

    from ci.core.history import ManifestChange
    from ci.core.registered import Registered


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "ref", metavar="REF", help="a commit, MODEL/VERSION, an image or its digest, or any hash of a lineage"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--verify", action="store_true", help="ask MLflow and the image registry as well")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the chains of REF; what is missing in them is said, and is no failure."""
    root = Path.cwd()
    git.require_repository(root)
    found = named(root, args.ref.strip())
    if args.verify:
        found = [_verified(root, chain) for chain in found]
    if args.json:
        print(json.dumps([chain.model_dump(mode="json") for chain in found], indent=2))
    else:
        _print(root, found)
    return 0


def named(root: Path, ref: str) -> list[Chain]:
    """The chains that `ref` is a part of: by git, and where git knows no such number, by the registry of models.

    Raises ConfigurationError where there is none.
    """
    if found := _in_git(root, ref):
        return found
    try:
        known = _registered(root, ref)
    except TrunklineError as fault:
        raise _nowhere(ref, f". The registry of models may know: {fault.message}") from fault
    if known is None:
        raise _nowhere(ref)
    return of_tags(root, known) or [tracing.unpinned(known)]


def chains(root: Path, ref: str) -> list[Chain]:
    """The chains in git that `ref` is a part of. Raises ConfigurationError where there is none."""
    if found := _in_git(root, ref):
        return found
    raise _nowhere(ref)


def of_tags(root: Path, known: Registered) -> list[Chain]:
    """The chains in git of a version in the registry, by what its tags say that it was made of."""
    key, model_hash = known.tags.get(KEY), known.tags.get("model_hash")
    if not key or not model_hash:
        return []
    changes = history.manifests(root)
    if released := tracing.chains(changes, lambda version: version.lineage.lock_hash == key, key):
        return released
    pinned = lineage.of_key(root, known.model, key, model_hash)
    return [tracing.numbered(pinned, known.version)] if pinned else []


def _registered(root: Path, ref: str) -> Registered | None:
    """The version in MLflow that MODEL/NUMBER names. Raises EnvironmentFault where MLflow does not answer."""
    asked = tracing.VERSION.fullmatch(ref)
    if asked is None or not asked["version"].isdigit():
        return None
    from ci.adapters.mlflow import Models  # noqa: PLC0415 - heavy, and asked only where git does not know

    models = Models(root)
    return models.get(asked["model"], asked["version"]) if models.is_made else None


def _nowhere(ref: str, more: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"nothing here is called {ref[:80]!r}: it is no commit, MODEL/VERSION, image digest, or beginning "
        f"({tracing.LEAST} digits or more) of a hash that release.yaml or dvc.lock have up to HEAD; run `git fetch`"
        f"{more or '.'}"
    )


def _in_git(root: Path, ref: str) -> list[Chain]:
    changes = history.manifests(root)
    if ref and (found := tracing.chains(changes, lambda version: tracing.matches(version, ref), tracing.needle(ref))):
        return found
    commit = git.commit_of(root, ref) if ref and not ref.startswith("-") else None
    if commit is not None:
        return _of_commit(root, commit, changes)
    return _pinned(root, ref)


def _of_commit(root: Path, commit: str, changes: Sequence[ManifestChange]) -> list[Chain]:
    """A manifest commit is about the versions it brought; any other about the first versions that contain it."""
    own = [change for change in changes if change.commit == commit]
    if own:
        read = [(one, tracing.read(one)) for one in own]
        named = dict.fromkeys(version.digest for _, made in read for version in (made.versions if made else ()))
        brought = [chain for digest in named for chain in _of_digest(changes, digest)]
        odd = [
            tracing.unreadable(one.model, commit, one.path, removed=one.text is None)
            for one, made in read
            if made is None
        ]
        return [*brought, *odd]
    if exact := tracing.chains(changes, lambda version: version.lineage.commit == commit, commit):
        return exact
    containing = history.containing(root, commit)
    found = []
    for model in _touched(root, commit):
        about = [change for change in changes if change.model == model]
        released = tracing.chains(about, lambda version: version.lineage.commit in containing, f"model: {model}")
        found.append(released[0] if released else _not_released(root, model, commit, containing))
    if not found:
        raise ConfigurationError(f"commit {commit[:12]} touches no model of params.yaml: nothing is linked with it.")
    return found


def _of_digest(changes: Sequence[ManifestChange], digest: str) -> list[Chain]:
    return tracing.chains(changes, lambda version: version.digest == digest, digest)


def _touched(root: Path, commit: str) -> list[str]:
    models = parse_root(*files.read_yaml(root / "params.yaml")).models
    paths = history.touched(root, commit)
    return [model for model in models if any(model in scope(path, models)[0] for path in paths)]


def _not_released(root: Path, model: str, commit: str, containing: set[str]) -> Chain:
    pinned = lineage.of_head(root, model)
    if pinned is not None and pinned.commit in containing:
        return tracing.unreleased(pinned)
    return tracing.untrained(model, commit)


def _pinned(root: Path, ref: str) -> list[Chain]:
    """The chains of versions that nobody released: those HEAD's dvc.lock pins, else those an older one pinned."""
    if not tracing.HEX.fullmatch(ref):
        return []
    for commit in ("HEAD", *history.pickaxe(root, ref, LOCK)[-1:]):  # the last is the one that brought it
        lock = dvc.lock(git.show(root, commit, LOCK))
        models = sorted({name.partition("@")[2].removesuffix("-full") for name in lock if name.startswith("train@")})
        made = [lineage.of_head(root, one) if commit == "HEAD" else of_lock(lock, one, commit) for one in models]
        named = [one for one in made if one and any(value.startswith(ref) for value in one.hashes)]
        if named:
            return [tracing.unreleased(one) for one in named]
    return []


def _verified(root: Path, chain: Chain) -> Chain:
    """The same, with what MLflow and the image registry say of it."""
    return chain.model_copy(update={"links": tuple(_asked(root, chain, link) for link in chain.links)})


def _asked(root: Path, chain: Chain, link: Link) -> Link:
    if link.value is None or chain.lineage is None or chain.version is None:
        return link
    try:
        if link.name == "registered version":
            from ci.adapters.mlflow import Models  # noqa: PLC0415 - heavy, and not wanted without --verify

            there = Models(root).get(chain.model, chain.version) is not None
            return link if there else Link(name=link.name, value=None, words=f"MLflow has no {link.value}")
        if link.name == "image":
            from ci.adapters import registry  # noqa: PLC0415 - as above

            release = parse_root(*files.read_yaml(root / "params.yaml")).release
            registry.require(link.value, home=release.registry.partition("/")[0] if release else "")
    except TrunklineError as failure:
        return Link(name=link.name, value=None, words=failure.message)
    return link


def _print(root: Path, found: Sequence[Chain]) -> None:
    out = console()
    commits = {step.commit for chain in found for step in chain.steps}
    commits |= {link.value for chain in found for link in chain.links if link.name == "commit" and link.value}
    words = history.described(root, sorted(commits))
    for chain in found:
        out.print(_tree(chain, words))


def _tree(chain: Chain, words: dict[str, str]) -> Tree:
    from rich.text import Text  # noqa: PLC0415 - as above
    from rich.tree import Tree  # noqa: PLC0415 - as above

    title = f"{chain.model} {chain.version}" if chain.version else chain.model
    tree = Tree(Text(title, style="bold"))
    made = tree.add("made of")
    steps = {name: tree.add(name) for name in dict.fromkeys(step.environment for step in chain.steps)}
    for link in chain.links:
        if link.value is None:
            tree.add(Text(quiet(f"missing: {link.name}: {link.words}"), style="yellow"))
        elif link.name in {"registered version", "image"}:
            tree.add(Text(quiet(f"{link.name} {link.value}")))
        elif link.name == "commit":
            text = words.get(link.value)
            shown = f"commit {link.value[:12]} {text}" if text else f"missing: commit {link.value} is not in this clone"
            made.add(Text(quiet(shown), style="" if text else "yellow"))
        else:
            made.add(Text(quiet(f"{link.name} {link.value}")))
    for step in chain.steps:
        what = f"{step.arm} {step.weight} %" if step.arm else "gone"
        agreed = step.approval.approved_by if step.approval else ()
        who = f"{step.by}, agreed by {', '.join(agreed)}" if agreed else step.by
        shown = f"{step.when} {what} by {step.commit[:12]} ({who}): {step.subject}"
        steps[step.environment].add(Text(quiet(shown)))
    return tree
