"""Make the workspace's model a version in MLflow's registry, once, whatever is killed or lost on the way.

A version's identity is the sha256 of ``dvc.lock``, which names every input and output of the round.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UserError
from models.file_digest import sha256_of
from models.saved import read_card
from models.spec import AnyFormat
from tasks import layout
from tasks.decisions import record
from tasks.evaluation.measure import measure_of
from tasks.exports.outcome import Outcome, headline, read_outcomes, summary
from tasks.params.whole import Params
from tasks.registry.client import reachable, registry, report_link, versions_with_key
from tasks.registry.lock import alone_with
from tasks.registry.names import CHECKSUMS, COMMIT, DATASET, EXPORT, KEY, WEIGHTS
from tasks.registry.trust import registration_key
from tasks.settings import settings
from tasks.tracking import experiment_named, round_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_PAUSE_S = 1.0


def register(workspace: Path, params: Params, *, commit: str, dataset_version: str, round_name: str = "") -> int:
    """Register the model of ``workspace``; the same ``dvc.lock`` is the same version.

    Args:
        workspace: A round's folder, its stages finished.
        params: Its parameters.
        commit: The Git commit that holds its ``dvc.lock``.
        dataset_version: DVC's hash of ``data/``.
        round_name: The round under whose MLflow run this one is nested.

    Returns:
        The version's number.

    Raises:
        UserError: Results are missing or damaged, or MLflow does not answer.
    """
    identity = _identity(workspace, commit, dataset_version)
    name, client = params.base.name, registry()
    with alone_with(name), reachable():
        if known := versions_with_key(client, name, KEY, identity.key):
            return _recorded(name, int(known[0].version), client, identity)
        logged = _logged_model(client, name, identity) or _log(client, workspace, params, identity, round_name)
        formats = {f"{EXPORT}.{form}": summary(outcome) for form, outcome in _outcomes(workspace).items()}
        version = _create_version(
            client, name, logged, identity.tags | formats, _description(workspace, params, logged)
        )
        return _recorded(name, version, client, identity)


@dataclass(frozen=True)
class _Identity:
    key: str
    commit: str
    dataset: str
    weights: str

    @property
    def tags(self) -> dict[str, str]:
        return {KEY: self.key, COMMIT: self.commit, DATASET: self.dataset, WEIGHTS: self.weights}


def content_key(workspace: Path) -> str:
    """What identifies a round's result: the sha256 of its ``dvc.lock``.

    Raises:
        UserError: There is none.
    """
    lock = workspace / "dvc.lock"
    if not lock.is_file():
        raise UserError(f"{lock}: there is no such file, so nothing was reproduced here; run `dvc repro` first")
    return sha256_of(lock)


def _identity(workspace: Path, commit: str, dataset_version: str) -> _Identity:
    """Who the version is; checks that what it will carry is there, before anything is logged."""
    card = read_card(workspace / layout.MODEL)
    _metrics(workspace)
    _outcomes(workspace)
    report = workspace / layout.REPORT
    if not report.is_file():
        raise UserError(f"{report}: there is no report; run `dvc repro` first")
    return _Identity(content_key(workspace), commit, dataset_version, card["weights_sha256"])


def _logged_model(client: "MlflowClient", name: str, identity: _Identity) -> "LoggedModel | None":
    """What a run logged completely before it was killed."""
    from mlflow.entities import LoggedModelStatus

    experiment = experiment_named(client, name)
    found = client.search_logged_models([experiment], f"tags.`{KEY}` = '{identity.key}'")
    return next((model for model in found if model.status == LoggedModelStatus.READY), None)


def _log(
    client: "MlflowClient", workspace: Path, params: Params, identity: _Identity, round_name: str
) -> "LoggedModel":
    """Log run, metrics, report and model; the model counts as logged once all of it is there."""
    from mlflow.models.model import Model

    from tasks.registry.package import write_package

    experiment = experiment_named(client, params.base.name)
    run_id = _start_run(client, experiment, params, identity, round_name)
    try:
        model = client.create_logged_model(
            experiment, name=params.base.name, source_run_id=run_id, tags=identity.tags, model_type="video-classifier"
        )
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "model"
            mlflow_model = Model(run_id=run_id, model_id=model.model_id)
            checksums = write_package(workspace, params, mlflow_model, folder)
            client.log_model_artifacts(model.model_id, str(folder))
        client.set_logged_model_tags(model.model_id, {CHECKSUMS: checksums})
        _log_results(client, workspace, run_id, model.model_id)
        client.finalize_logged_model(model.model_id, "READY")
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return client.get_logged_model(model.model_id)


def _start_run(client: "MlflowClient", experiment: str, params: Params, identity: _Identity, round_name: str) -> str:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    tags = {**identity.tags, "videoloop.stage": "register"}
    if round_name:
        tags["mlflow.parentRunId"] = round_run(client, experiment, round_name)
    run_id = str(client.create_run(experiment, run_name="register", tags=tags).info.run_id)
    where = json.dumps({"commit": identity.commit, "path": "data.dvc", "md5": identity.dataset}, sort_keys=True)
    dataset = Dataset(params.base.name, identity.dataset, source_type="dvc", source=where)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    return run_id


def _log_results(client: "MlflowClient", workspace: Path, run_id: str, model_id: str) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    values = {**_headline(_metrics(workspace)), **headline(_outcomes(workspace))}
    client.log_batch(run_id, [Metric(key, value, now, 0, model_id=model_id) for key, value in values.items()])
    client.log_artifact(run_id, str(workspace / layout.REPORT))


def _metrics(workspace: Path) -> dict[str, Any]:
    path = workspace / layout.METRICS
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise UserError(f"{path}: there are no readable metrics; run `dvc repro evaluate`") from None
    return metrics


def _outcomes(workspace: Path) -> dict[AnyFormat, Outcome]:
    return read_outcomes(workspace / layout.FORMATS) if (workspace / layout.FORMATS).exists() else {}


def _headline(metrics: dict[str, Any]) -> dict[str, float]:
    """Numbers that MLflow can compare; names of classes and sources may hold what it refuses."""
    own = {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
    key = measure_of(metrics).key
    before = {f"before.{name}.{key}": float(one[key]) for name, one in metrics.get("before", {}).items()}
    gain = {f"gain.{name}": float(one["difference"]) for name, one in metrics.get("gain", {}).items()}
    return {**own, **before, **gain}


def _description(workspace: Path, params: Params, logged: "LoggedModel") -> str:
    metrics = _metrics(workspace)
    measure = measure_of(metrics)
    found = measure.interval(metrics)
    report = report_link(logged.experiment_id, str(logged.source_run_id))
    return (
        f"{measure.name.capitalize()} {found.estimate:.3f} ({params.evaluate.confidence:.0%} interval {found.low:.3f} "
        f"to {found.high:.3f}); "
        f"test clips: {metrics['clips']}, sources: {metrics['sources']}.\n\n"
        f"[Report of the round]({report}) · [Run]({report.partition('/artifacts')[0]})"
    )


def _create_version(
    client: "MlflowClient", name: str, logged: "LoggedModel", tags: dict[str, str], description: str
) -> int:
    """Create the version; when the answer is lost, ask whether it was created before trying again."""
    from mlflow.exceptions import MlflowException

    _create_model(client, name)
    tags = {**tags, CHECKSUMS: logged.tags[CHECKSUMS]}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _for_one_request():
                created = client.create_model_version(
                    name,
                    source=f"models:/{logged.model_id}",
                    run_id=logged.source_run_id,
                    tags=tags,
                    description=description,
                    model_id=logged.model_id,
                )
            return int(created.version)
        except MlflowException as error:
            if known := versions_with_key(client, name, KEY, tags[KEY]):
                return int(known[0].version)
            if attempt == _ATTEMPTS:
                raise
            logger.warning("MLflow did not answer to the registration, trying again: %s", str(error).splitlines()[0])
            time.sleep(_PAUSE_S * attempt)
    raise AssertionError("unreachable")


def _create_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    if client.search_registered_models(f"name = '{name}'", max_results=1):
        return
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def _for_one_request() -> Iterator[None]:
    """What MLflow takes from the environment alone.

    Its client repeats a request whose answer was lost, and a repeated creation is a second version. The SQLite file's
    registry looks the logged model up at the address in the environment, whatever the client was given.
    """
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_TRACKING_URI": settings().mlflow_uri}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _recorded(name: str, version: int, client: "MlflowClient", identity: _Identity) -> int:
    found = client.get_model_version(name, str(version))
    evidence = {
        "version": version,
        "source": found.source,
        "checksums_sha256": found.tags[CHECKSUMS],
        "weights_sha256": identity.weights,
        "commit": found.tags[COMMIT],
        "dataset": found.tags[DATASET],
        "key": identity.key,
    }
    why = f"its round ended in commit {found.tags[COMMIT][:12]}"
    record(
        "register",
        name,
        f"registered version {version}",
        why,
        evidence,
        key=registration_key(found),
    )
    return version
