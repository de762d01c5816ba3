"""Questions to MLflow's registry, answered in words that a person understands."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from models.errors import UserError
from tasks.layout import REPORT
from tasks.settings import hush, settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def registry() -> "MlflowClient":
    """A client of the registry at ``settings().mlflow_uri``; MLflow's global state stays as it is."""
    hush()
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient(settings().mlflow_uri, settings().mlflow_uri)


_SILENT = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}


@contextmanager
def reachable() -> Iterator[None]:
    """Turn a registry that does not answer into a sentence.

    Raises:
        UserError: MLflow does not answer, or refuses.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        reason = str(error).splitlines()[0][:300]
        raise UserError(
            f"MLflow at {settings().mlflow_uri} does not do what it is asked: {reason}; see `videoloop status`, "
            "or correct MLFLOW_TRACKING_URI"
        ) from error


def find_version(client: "MlflowClient", name: str, version: int) -> "ModelVersion":
    """The model version.

    Raises:
        UserError: Name or version do not exist; names what does.
    """
    known = versions_of(client, name)
    if version not in known:
        listed = ", ".join(map(str, sorted(known))) or "none"
        raise UserError(f"{name}: there is no version {version}, or it was deleted; versions: {listed}")
    return known[version]


def versions_of(client: "MlflowClient", name: str) -> dict[int, "ModelVersion"]:
    """All versions of the model ``name``.

    Raises:
        UserError: There is no such model; names those that exist.
    """
    with reachable():
        found = {int(each.version): each for each in _search(client, f"name = '{_quoted(name)}'")}
        if not found and not model_exists(client, name):
            others = ", ".join(sorted(model.name for model in client.search_registered_models())[:20]) or "none yet"
            raise UserError(f"{name}: there is no such model in MLflow; models: {others}")
    return found


def versions_with_key(client: "MlflowClient", name: str, tag: str, value: str) -> list["ModelVersion"]:
    """Versions of ``name`` whose ``tag`` is ``value``, oldest first."""
    found = _search(client, f"name = '{_quoted(name)}' and tags.`{tag}` = '{value}'")
    return sorted(found, key=lambda each: int(each.version))


def version_with_alias(client: "MlflowClient", name: str, alias: str) -> int | None:
    """The version that carries ``alias``, if any.

    Raises:
        UserError: There is no such model; names those that exist.
    """
    with reachable():
        if not model_exists(client, name):
            versions_of(client, name)  # says so
        aliases = client.get_registered_model(name).aliases
    return int(aliases[alias]) if alias in aliases else None


def model_exists(client: "MlflowClient", name: str) -> bool:
    """Whether a model of that name is registered."""
    return bool(client.search_registered_models(f"name = '{_quoted(name)}'", max_results=1))


def _search(client: "MlflowClient", query: str) -> list["ModelVersion"]:
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(query, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _quoted(name: str) -> str:
    if "'" in name:
        raise UserError(f"{name}: a model's name has no quotation marks")
    return name


def report_link(experiment_id: str, run_id: str) -> str:
    """Where the MLflow UI shows the report of the run that registered a model, relative to the server's address."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{REPORT.name}"
