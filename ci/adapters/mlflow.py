"""What MLflow keeps, runs and the registry of models: SQLite under .trunkline, or what MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import re
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ci.adapters.mlflow_door import Door, Exists, Missing, one_line
from ci.core.errors import EnvironmentFault
from ci.core.registered import KEY, Registered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

    from ci.core.registered import Point

T = TypeVar("T")

SQL = re.compile(r"(postgresql|mysql|mssql)(\+\w+)?://")
BATCH = 1_000  # metrics that one request of log_batch holds
FEW = 100  # parameters, and tags, that one holds
OWNER = "trunkline.begun_at"  # the tag of a run that says where


class Models(Door):
    """The registry: versions of models, found by what they were made of."""

    def find(self, model: str, lock_hash: str) -> Registered | None:
        """The version made of what `lock_hash` digests; the oldest, should two have been made at once."""
        return next(iter(self._all_of(model, lock_hash)), None)

    def get(self, model: str, version: str) -> Registered | None:
        """A version by its number, or None."""
        try:
            return self._told(self.ask(self.client.get_model_version, model, version))
        except Missing:
            return None

    def versions(self, model: str) -> tuple[Registered, ...]:
        """Every version of a model, the oldest first."""
        return self._search(f"name = {_quoted(model)}")

    def create(self, model: str, lock_hash: str, *, run_id: str, tags: Mapping[str, str], words: str) -> Registered:
        """The version of `lock_hash`, made of a run's folder `model` unless there is one: a single one in the end.

        Two that make one at the same time both find the older, and the newer is taken back.
        """
        with suppress(Exists):
            self.ask(self.client.create_registered_model, model)
        if self.find(model, lock_hash) is None:
            self.ask(
                self.client.create_model_version,
                model,
                f"runs:/{run_id}/model",
                run_id,
                tags={**tags, KEY: lock_hash},
                description=words,
                await_creation_for=0,
            )
        kept, *spare = self._all_of(model, lock_hash) or (None,)
        if kept is None:
            raise Missing(f"somebody took the version of {model} away from MLflow at {self.shown}; run again.")
        for each in spare:
            with suppress(Missing):
                self.ask(self.client.delete_model_version, model, each.version)
        return kept

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version; others stay."""
        for name, value in tags.items():
            self.ask(self.client.set_model_version_tag, model, version, name, value)

    def point(self, model: str, alias: str, version: str | None) -> None:
        """Let an alias name a version, or none."""
        if self.aliases(model).get(alias) == version:
            return
        if version is None:
            self.ask(self.client.delete_registered_model_alias, model, alias)
        else:
            self.ask(self.client.set_registered_model_alias, model, alias, version)

    def aliases(self, model: str) -> dict[str, str]:
        """Each alias of a model and the version it names; none for a model that was never registered."""
        try:
            found = self.ask(self.client.get_registered_model, model).aliases
        except Missing:
            return {}
        return {str(alias): str(version) for alias, version in found.items()}

    def _all_of(self, model: str, lock_hash: str) -> tuple[Registered, ...]:
        return self._search(f"name = {_quoted(model)} AND tags.{KEY} = {_quoted(lock_hash)}")

    def _search(self, query: str) -> tuple[Registered, ...]:
        found: list[ModelVersion] = []
        token = None
        while True:
            page = self.ask(self.client.search_model_versions, query, max_results=1_000, page_token=token)
            found += page
            if not (token := page.token):
                break
        return tuple(self._told(each) for each in sorted(found, key=lambda each: int(each.version)))

    def _told(self, found: ModelVersion) -> Registered:
        model, version = str(found.name), str(found.version)
        http = self.uri.startswith(("http://", "https://"))
        url = f"{self.shown.rstrip('/')}/#/models/{model}/versions/{version}" if http else f"models:/{model}/{version}"
        tags = {str(name): str(value) for name, value in (found.tags or {}).items()}
        return Registered(model=model, version=version, run_id=found.run_id or None, tags=tags, url=url)


class Runs(Door):
    """The record of trainings: one experiment a model, one run a training."""

    @property
    def _owner(self) -> str:
        """This checkout on this machine, where a killed run can be gone on with."""
        return f"{socket.gethostname()}:{self.root}"

    def of(self, model: str, tag: str, value: str, *, name: str) -> tuple[str, bool]:
        """The run of a model with this tag, made unless there is one, and whether it was logged to its end.

        One that is finished counts, else the older of those begun here: what another machine has begun is left to it,
        since two that log into one would write over each other's files.
        """
        experiment = self._experiment(model)
        found = self._tagged(experiment, tag, value)
        ended = [run for run in found if _is_finished(run)]
        if known := ended or [run for run in found if run.data.tags.get(OWNER) == self._owner]:
            return str(known[0].info.run_id), bool(ended)
        made = self.ask(self.client.create_run, experiment, tags={tag: value, OWNER: self._owner}, run_name=name)
        return str(made.info.run_id), False

    def keep_only(self, model: str, tag: str, value: str, run_id: str) -> None:
        """Take back all other runs of a model with this tag: killed ones, and those of others that came later."""
        for run in self._tagged(self._experiment(model), tag, value):
            if run.info.run_id != run_id:
                self.drop(run.info.run_id)

    def keys(self, model: str, tag: str) -> dict[str, str]:
        """The value that each finished run of a model has of a tag, and the run's id."""
        experiment = self._experiment(model)
        found: dict[str, str] = {}
        token = None
        while True:
            page = self.ask(self.client.search_runs, [experiment], max_results=1_000, page_token=token)
            found |= {
                run.data.tags[tag]: str(run.info.run_id) for run in page if _is_finished(run) and tag in run.data.tags
            }
            token = page.token
            if not token:
                return found

    def log(self, run_id: str, *, params: Mapping[str, str], points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Log in as few requests as MLflow takes; the same again changes nothing."""
        from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - MLflow takes seconds to import

        begun = self.ask(self.client.get_run, run_id).info.start_time or 0  # the same time again: the same metric
        metrics = [Metric(point.name, point.value, begun, point.step) for point in points]
        for some in _parts([Param(name, value) for name, value in params.items()], FEW):
            self.ask(self.client.log_batch, run_id, params=some)
        for batch in _parts(metrics, BATCH):
            self.ask(self.client.log_batch, run_id, metrics=batch)
        for few in _parts([RunTag(name, value) for name, value in tags.items()], FEW):
            self.ask(self.client.log_batch, run_id, tags=few)

    def keep(self, run_id: str, folder: Path) -> None:
        """Keep all files of a folder as the run's artifacts; those of the same name are replaced."""
        try:
            self.ask(self.client.log_artifacts, run_id, str(folder))
        except EnvironmentFault:
            raise
        except Exception as error:  # each store of artifacts has exceptions of its own
            raise EnvironmentFault(
                f"the artifacts of run {run_id} cannot be kept where MLflow at {self.shown} wants them: "
                f"{one_line(error, self.uri)}; mend that and run again."
            ) from error

    def file(self, run_id: str, path: str) -> bytes | None:
        """A file among the run's artifacts; None where it is not there or cannot be had."""
        with tempfile.TemporaryDirectory(prefix="trunkline-") as folder:
            try:
                return Path(self.ask(self.client.download_artifacts, run_id, path, folder)).read_bytes()
            except Missing:
                return None
            except EnvironmentFault:
                raise
            except Exception:  # noqa: BLE001 - each store of artifacts has exceptions of its own
                return None

    def finish(self, run_id: str) -> None:
        """Say that the run was logged to its end."""
        self.ask(self.client.set_terminated, run_id, "FINISHED")

    def drop(self, run_id: str) -> None:
        """Take a run back: another of the same training counts."""
        with suppress(Missing):
            self.ask(self.client.delete_run, run_id)

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric; none of a run that is not there."""
        try:
            return dict(self.ask(self.client.get_run, run_id).data.metrics)
        except Missing:
            return {}

    def _tagged(self, experiment: str, tag: str, value: str) -> list[Run]:
        """Oldest first."""
        query = f"tags.{tag} = {_quoted(value)}"
        return list(self.ask(self.client.search_runs, [experiment], query, order_by=["start_time ASC"]))

    def _experiment(self, model: str) -> str:
        found = self.ask(self.client.get_experiment_by_name, model)
        if found is None:
            try:
                return str(self.ask(self.client.create_experiment, model, artifact_location=self._home(model)))
            except Exists:
                found = self.ask(self.client.get_experiment_by_name, model)
        if found is None or found.lifecycle_stage != "active":
            raise EnvironmentFault(
                f"experiment '{model}' was deleted in MLflow at {self.shown}; restore it there and run again."
            )
        return str(found.experiment_id)

    def _home(self, model: str) -> str | None:
        """Where the artifacts of a new experiment go; None where MLflow itself knows."""
        if self.database is not None:  # beside it, where whoever shares the database finds them
            return (self.database.resolve().parent / "mlartifacts" / model).as_uri()
        if SQL.match(self.uri):
            raise EnvironmentFault(
                f"MLflow at {self.shown} is a database, which does not say where artifacts belong; name a server, or "
                f"first run `mlflow experiments create --experiment-name {model} --artifact-location URL`."
            )
        return None


def _is_finished(run: Run) -> bool:
    return bool(run.info.status == "FINISHED")


def _parts(items: Iterable[T], size: int) -> list[list[T]]:
    every = list(items)
    return [every[start : start + size] for start in range(0, len(every), size)]


def _quoted(text: str) -> str:
    """A text in MLflow's filters, which know no escape."""
    return "'" + text.replace("'", "") + "'"
