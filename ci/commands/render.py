"""`trunkline render`: builds every overlay as an agent would, and holds each object to its schema and to its word."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import files, kustomize, schemas
from ci.commands import gate
from ci.commands.console import console
from ci.core.errors import ConfigurationError, did_you_mean
from ci.core.loglines import quiet
from ci.core.manifests import clusters, engines, hardening, overlays, places, selecting, shipping
from ci.core.manifests.objects import Finding, name_of
from ci.core.release import Release, dump, parse, path_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from ci.core.params import Releasing


@dataclass(frozen=True)
class Build:
    """What one folder makes, and the release that it has to run where it is an overlay."""

    place: str
    objects: Sequence[dict[str, Any]]
    release: Release | None = None
    note: str = ""
    """What it was built with, where not as it is."""
    trial: bool = False
    """Whether it was only tried: no agent would apply it."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="only the overlays of this model (default: all of k8s/)"
    )
    parser.add_argument("--environment", metavar="NAME", help="only the overlays of this environment")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write what was built as DIR/<folder>.yaml")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build, check, and print a table. Raises ConfigurationError where an object is not as it should be."""
    root = Path.cwd()
    params = gate.root_params(root)
    if params.release is None:
        raise ConfigurationError(
            "params.yaml has no `release`, so there are no environments to render.", file="params.yaml"
        )
    models = gate.configured(root, [args.model] if args.model else ())
    environments = _environments(params.release, args.environment)
    releases = {
        path_of(model, environment): _release(root, params.release.registry, model, environment)
        for model in params.models
        for environment in params.release.environments
    }
    chosen = [overlays.folder_of(model, environment) for model in models for environment in environments]
    with kustomize.scratch(root, _added(root, releases)) as tree:
        builds = list(_builds(root, tree, releases, chosen, everything=not (args.model or args.environment)))
        found = _check(root, tree, builds, releases, params.release)
    if args.output:
        for build in builds:
            files.write_text(args.output / f"{build.place.removeprefix('k8s/')}.yaml", kustomize.dump(build.objects))
    return _tell(builds, found)


def _environments(release: Releasing, name: str | None) -> tuple[str, ...]:
    if name is not None and name not in release.environments:
        words = did_you_mean(name, release.environments)
        raise ConfigurationError(f"there is no environment '{name}' in params.yaml; {words}", file="params.yaml")
    return (name,) if name else tuple(release.environments)


def _release(root: Path, registry: str, model: str, environment: str) -> Release:
    """What release.yaml says, or a placeholder. Raises ConfigurationError where it is of another model or edited."""
    name = path_of(model, environment)
    if not (root / name).exists():
        return overlays.placeholder(registry, model, environment)
    return parse((root / name).read_text(encoding="utf-8"), name)


def _added(root: Path, releases: Mapping[str, Release]) -> dict[str, str]:
    """What `trunkline release` would add with the first release of each model and environment that has none."""
    texts: dict[str, str] = {}
    for name, release in releases.items():
        texts |= {name: dump(release), **overlays.overlay(release.spec.model, release.spec.environment)}
    return {name: text for name, text in texts.items() if not (root / name).exists()}


def _builds(
    root: Path, tree: Path, releases: Mapping[str, Release], chosen: Sequence[str], *, everything: bool
) -> Iterator[Build]:
    """Every folder to build, in order; after them each engine that no overlay has, in the place of the last one's."""
    described = {
        folder.relative_to(tree).as_posix(): kustomize.described(folder, tree)
        for folder in sorted(path.parent for path in (tree / "k8s").rglob(kustomize.FILE))
        if places.FLUX_OWN not in folder.parts
    }
    for place in places.built(described) if everything else chosen:
        release = releases.get(f"{place}/release.yaml")
        if release is None and place.startswith(f"{overlays.FOLDER}/"):
            raise ConfigurationError(
                f"{place} is the overlay of a model or an environment that params.yaml does not have; add it there, or "
                "delete this folder and its pointer in k8s/clusters/flux, and the agent takes away what runs.",
                file=place,
            )
        note = "no release yet: a placeholder" if release and not (root / place / "release.yaml").exists() else ""
        yield Build(place, kustomize.build(tree, place), release, note)
    if not everything:
        return
    for folder in sorted(path for path in (tree / "k8s" / "clusters").glob("*/*") if path.is_dir()):
        if (place := folder.relative_to(tree).as_posix()) not in described:
            yield Build(place, kustomize.build(tree, place))
    for engine in places.spare(described):
        place = chosen[-1]
        stands = kustomize.described(tree / place, tree)
        files.write_text(tree / place / kustomize.FILE, kustomize.dump([places.with_engine(place, stands, engine)]))
        yield Build(engine, kustomize.build(tree, place), releases[f"{place}/release.yaml"], f"in {place}", trial=True)
        files.write_text(tree / place / kustomize.FILE, kustomize.dump([stands]))


def _check(
    root: Path, tree: Path, builds: Sequence[Build], releases: Mapping[str, Release], rules: Releasing
) -> dict[str, list[Finding]]:
    """What is wrong, by the place it is wrong in."""
    things = [thing for build in builds for thing in build.objects]
    told = iter(schemas.errors(root, things))
    folders = {path.parent.relative_to(tree).as_posix() for path in tree.rglob(kustomize.FILE)}
    twice = clusters.shared({build.place: build.objects for build in builds if not build.trial})
    found: dict[str, list[Finding]] = {}
    for build in builds:
        here = [Finding(name_of(thing), words) for thing in build.objects for words in next(told)]
        if not here:  # what breaks its schema need not have the shape that the other checks read
            here += selecting.check(build.objects) + hardening.check(build.objects)
            here += clusters.pointers(build.objects, folders, releases) + twice.get(build.place, [])
            if build.release:
                here += shipping.check(build.objects, build.release)
                here += engines.steps(build.objects, rules.environments[build.release.spec.environment])
        found[build.place] = here
    return found


def _tell(builds: Sequence[Build], found: Mapping[str, Sequence[Finding]]) -> int:
    """Print what was built and what is wrong. Raises ConfigurationError where anything is."""
    _print(builds, found)
    wrong = [f"{place}: {one.object}: {one.words}" for place, here in found.items() for one in here]
    for line in wrong:
        print(quiet(line))
    total = sum(len(build.objects) for build in builds)
    if wrong:
        place = next(place for place, here in found.items() if here)
        raise ConfigurationError(f"{len(wrong)} findings in {total} objects; the first is {wrong[0]}.", file=place)
    print(f"{total} objects of {len(builds)} folders keep to their schemas, and what they refer to is there")
    return 0


def _print(builds: Sequence[Build], found: Mapping[str, Sequence[Finding]]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where something is printed
    from rich.text import Text  # noqa: PLC0415 - as above

    out = console()
    table = Table("folder", "objects", "built with", "verdict")
    for build in builds:
        kinds = Counter(str(thing["kind"]) for thing in build.objects)
        shown = ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in kinds.items())
        wrong = len(found[build.place])
        verdict = Text(f"{wrong} findings", style="bold red") if wrong else Text("pass", style="green")
        table.add_row(Text(build.place), Text(quiet(shown)), Text(build.note), verdict)
    out.print(table)
