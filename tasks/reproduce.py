"""Bring back the commit that a registered version names, say what is up to date, and rebuild it on demand."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError
from models.file_digest import sha256_of
from tasks import workspace
from tasks.layout import WEIGHTS
from tasks.settings import settings

_REBUILT = ("fine_tune", "evaluate")


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        name: Registered model.
        version: Its version.
        commit: The commit that the version names.
        registered: SHA-256 of the registered weights.
        stale: What is not up to date at that commit: stage or file, and why; empty where all is.
        rebuilt: SHA-256 of the rebuilt weights; None where nothing was rebuilt.
    """

    name: str
    version: str
    commit: str
    registered: str
    stale: dict[str, str]
    rebuilt: str | None

    @property
    def equal(self) -> bool:
        """Whether the rebuilt weights are those that were registered, to the byte."""
        return self.rebuilt == self.registered


def reproduce(uri: str, *, rebuild: bool = False) -> Reproduction:
    """Reproduce ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.

    A rebuild trains and evaluates again from the commit's code, data, parameters and search outcome, with empty caches
    of its own. The search's outcome is taken as recorded: its trials run side by side, so that their order varies.

    Raises:
        UserError: The address names no version, the version names no commit, or the commit or its data are not here.
    """
    name, version, tags = _version(uri)
    if not (commit := tags.get("videoloop.commit")):
        raise UserError(f"{uri}: this version names no commit (tag videoloop.commit); videoloop did not register it")
    with workspace.commit_workspace(commit) as work:
        workspace.checkout_data(work)
        workspace.checkout_results(work)
        stale = {what: str(why) for what, why in workspace.dvc_status(work).items()}
        rebuilt = None
        if rebuild:
            with tempfile.TemporaryDirectory(dir=settings().home) as home:
                for stage in _REBUILT:
                    workspace.reproduce(work, stage, force=True, home=Path(home))
            rebuilt = sha256_of(work.root / WEIGHTS)
    return Reproduction(name, version, commit, tags.get("videoloop.weights_sha256", ""), stale, rebuilt)


def _version(uri: str) -> tuple[str, str, dict[str, str]]:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    rest = uri.removeprefix("models:/")
    name, at, alias = rest.partition("@")
    client = MlflowClient(settings().mlflow_uri)
    try:
        if at:
            found = client.get_model_version_by_alias(name, alias)
        else:
            name, _, number = rest.partition("/")
            found = client.get_model_version(name, number)
    except MlflowException as error:
        raise UserError(
            f"{uri}: there is no such version ({error.message}); write models:/NAME/VERSION or models:/NAME@ALIAS"
        ) from None
    return name, str(found.version), dict(found.tags)
