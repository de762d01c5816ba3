"""What a stage tells MLflow while it works. A tracking server that does not answer never stops a stage."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.settings import settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)


_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Which of its faces the MLflow UI shows: without it, that for language models."""


class Tracker:
    """One MLflow run, written to in batches.

    After the first failure to reach MLflow it says so once and goes silent.
    """

    def __init__(self, client: "MlflowClient | None", experiment_id: str, run_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self.run_id = run_id

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log ``values`` at ``step`` in one request."""
        self.log(metrics={step: values})

    def params(self, values: Mapping[str, Any]) -> None:
        """Log ``values`` as parameters in one request."""
        self.log(params=values)

    def log(
        self,
        *,
        metrics: Mapping[int, Mapping[str, float]] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Log metrics by step, and parameters, in one request."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        batch = [
            Metric(key, float(value), now, step)
            for step, values in (metrics or {}).items()
            for key, value in values.items()
        ]
        entries = [Param(key, str(value)) for key, value in (params or {}).items()]
        self._try("log_batch", self.run_id, metrics=batch, params=entries)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Upload the file or folder ``path`` under ``folder`` of the run's artifacts."""
        verb = "log_artifacts" if path.is_dir() else "log_artifact"
        self._try(verb, self.run_id, str(path), folder or None)

    def tag(self, key: str, value: str) -> None:
        """Set one tag of the run."""
        self._try("set_tag", self.run_id, key, value)

    def child(self, name: str, tags: Mapping[str, str] | None = None, started_ms: int | None = None) -> "Tracker":
        """A nested run that started at ``started_ms`` (Unix time; default: now); end it with :meth:`end`."""
        run = self._try(
            "create_run",
            self._experiment_id,
            start_time=started_ms,
            run_name=name,
            tags={"mlflow.parentRunId": self.run_id, **(tags or {})},
        )
        return Tracker(self._client if run else None, self._experiment_id, run.info.run_id if run else "")

    def end(self, status: str = "FINISHED") -> None:
        """End the run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        self._try("set_terminated", self.run_id, status)

    def _try(self, verb: str, *arguments: Any, **named: Any) -> Any:
        if self._client is None:
            return None
        from mlflow.exceptions import MlflowException

        try:
            return getattr(self._client, verb)(*arguments, **named)
        except (MlflowException, OSError) as error:
            logger.warning("MLflow does not answer, so this run goes on without it: %s", str(error).splitlines()[0])
            self._client = None
            return None


@contextmanager
def tracked(stage: str, experiment: str) -> Iterator[Tracker]:
    """An MLflow run named ``stage`` in ``experiment``, nested under the round's run where a round is under way."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(settings().mlflow_uri)
    tags = {"videoloop.stage": stage}
    try:
        experiment_id = experiment_named(client, experiment)
        if settings().round:
            tags["mlflow.parentRunId"] = round_run(client, experiment_id, settings().round)
        run = client.create_run(experiment_id, run_name=stage, tags=tags)
        tracker = Tracker(client, experiment_id, run.info.run_id)
    except (MlflowException, OSError) as error:
        logger.warning("MLflow does not answer, so this run goes on without it: %s", str(error).splitlines()[0])
        tracker = Tracker(None, "", "")
    try:
        yield tracker
    except BaseException:
        tracker.end("FAILED")
        raise
    tracker.end()


@contextmanager
def untracked() -> Iterator[Tracker]:
    """What :func:`tracked` gives, for a process beside one that tracks."""
    yield Tracker(None, "", "")


def round_run(client: "MlflowClient", experiment_id: str, name: str) -> str:
    """The id of the MLflow run of the round ``name``, created by the first stage that runs."""
    found = client.search_runs([experiment_id], f"tags.`videoloop.round` = '{name}'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    return str(client.create_run(experiment_id, run_name=name, tags={"videoloop.round": name}).info.run_id)


def end_round(experiment: str, name: str) -> None:
    """End the MLflow run of the round ``name``, if any of its stages ran; those that were killed are marked so."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(settings().mlflow_uri)
    try:
        experiment_id = experiment_named(client, experiment)
        for run in client.search_runs([experiment_id], f"tags.`videoloop.round` = '{name}'"):
            nested = f"tags.`mlflow.parentRunId` = '{run.info.run_id}' and attributes.status = 'RUNNING'"
            for killed in client.search_runs([experiment_id], nested):
                client.set_terminated(killed.info.run_id, "KILLED")
            client.set_terminated(run.info.run_id)
    except (MlflowException, OSError) as error:
        logger.warning("MLflow does not answer, so this round's run stays open: %s", str(error).splitlines()[0])


def experiment_named(client: "MlflowClient", name: str) -> str:
    """The id of the experiment ``name``, created where it is missing, also when two processes try at once.

    With the SQLite file and no server, artifacts lie beside it instead of in the working folder.
    """
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    local = settings().mlflow_uri.startswith("sqlite")
    location = (settings().home / "mlartifacts").as_uri() if local else None
    try:
        return client.create_experiment(name, artifact_location=location, tags=_KIND)
    except MlflowException:
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        raise
