"""What is loaded from the registry is what was registered: every file's sha256 is checked first.

``checksums.json`` lies in the model's folder and lists every other file. Its own sha256 is a tag of the model version,
and stands in the decision log, which the registry cannot change.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from models.errors import UserError
from models.exports.files import FILES
from models.file_digest import sha256_of
from models.saved import CARD, WEIGHTS
from tasks.decisions import decision
from tasks.registry.names import CHECKSUMS, EXAMPLE, EXAMPLE_ANSWER, FORMATS, MODEL_FOLDER, PREPROCESSING
from tasks.settings import settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHECKSUMS_FILE = "checksums.json"
_LOGGED_MODEL = "models:/"
_NEEDED_TO_PREDICT = tuple(f"{MODEL_FOLDER}/{name}" for name in (WEIGHTS, CARD, PREPROCESSING))
_NEEDED_TO_CHOOSE = tuple(f"{MODEL_FOLDER}/{name}" for name in (EXAMPLE, EXAMPLE_ANSWER, FORMATS, *FILES.values()))


def write_checksums(folder: Path) -> str:
    """Write ``checksums.json`` over all files in ``folder``; return its sha256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    target = folder / CHECKSUMS_FILE
    target.write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return sha256_of(target)


def verified_model(client: "MlflowClient", version: "ModelVersion", *, to_answer: bool = False) -> Path:
    """The folder with weights, card and preprocessing of ``version``, downloaded where needed and checked.

    Args:
        client: Of the registry; not asked when everything was downloaded before.
        version: Which.
        to_answer: Also its programs, and an example and the answers to it, where they were registered with the version.

    Raises:
        UserError: A file is missing or is not what was registered, or videoloop did not register the version.
    """
    optional = _NEEDED_TO_CHOOSE if to_answer else ()
    return verified_files(client, version, _NEEDED_TO_PREDICT, optional) / MODEL_FOLDER


def verified_files(
    client: "MlflowClient", version: "ModelVersion", names: Sequence[str], optional: Sequence[str] = ()
) -> Path:
    """A folder with the files ``names`` of ``version``, downloaded where needed and checked.

    Those of ``optional`` are there where they were registered with the version.

    Raises:
        UserError: As :func:`verified_model`.
    """
    cache = _Cache(client, version)
    for name in (*names, *(name for name in optional if name in cache.listed)):
        cache.file(name)
    return cache.folder


def verify_everything(client: "MlflowClient", version: "ModelVersion") -> None:
    """Check every file of ``version``, those with code included.

    Raises:
        UserError: As :func:`verified_model`; also for a file that nobody registered.
    """
    listed = _Cache(client, version).listed
    with tempfile.TemporaryDirectory() as temporary:
        folder = _download(client, version, "", Path(temporary))
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for name, expected in listed.items():
            if name not in found:
                raise UserError(f"{_title(version)}: {name} is missing from its artifacts; promote another version")
            _check(version, name, found[name], expected)
    if extra := sorted(found.keys() - listed.keys() - {CHECKSUMS_FILE}):
        raise UserError(f"{_title(version)}: {extra[0]} is among its artifacts but was never registered")


def registration_key(version: "ModelVersion") -> str:
    """The decision log's key of the version's registration."""
    return f"register:{version.name}:{version.version}:{version.source}"


class _Cache:
    """Files of one version in ``settings().home``; none is there under its name before it was checked."""

    def __init__(self, client: "MlflowClient", version: "ModelVersion") -> None:
        self._client = client
        self._version = version
        digest = _registered_digest(version)
        self.folder = settings().home / "models" / digest
        self.listed: dict[str, str] = {CHECKSUMS_FILE: digest}
        self.listed = _parsed(self.file(CHECKSUMS_FILE), version)

    def file(self, name: str) -> Path:
        target = self.folder / name
        expected = self.listed.get(name)
        if expected is None:
            raise UserError(f"{_title(self._version)}: {name} was never registered with it; register it again")
        if target.is_file() and sha256_of(target) == expected:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=self.folder) as temporary:
            fetched = _download(self._client, self._version, name, Path(temporary))
            _check(self._version, name, fetched, expected)
            fetched.replace(target)
        return target


def _check(version: "ModelVersion", name: str, path: Path, expected: str) -> None:
    if sha256_of(path) != expected:
        raise UserError(
            f"{_title(version)}: {name} is not the file that was registered (its sha256 differs); it is not loaded: "
            "promote another version, or run a round to register this one anew"
        )


def _registered_digest(version: "ModelVersion") -> str:
    digest = version.tags.get(CHECKSUMS, "")
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise UserError(f"{_title(version)} carries no checksums: videoloop did not register it and does not load it")
    logged = decision(registration_key(version))
    if logged and logged.evidence["checksums_sha256"] != digest:
        raise UserError(
            f"{_title(version)}: its tag {CHECKSUMS} is not what the decision log says; somebody changed it, "
            "so it is not loaded"
        )
    return digest


def _parsed(path: Path, version: "ModelVersion") -> dict[str, str]:
    listed: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    for name in listed:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise UserError(f"{_title(version)}: its checksums name {name!r}, a file outside of it")
    return listed


def _download(client: "MlflowClient", version: "ModelVersion", name: str, target: Path) -> Path:
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        uri = client.get_model_version_download_uri(version.name, version.version)
        if uri.startswith(_LOGGED_MODEL):
            uri = client.get_logged_model(uri.removeprefix(_LOGGED_MODEL)).artifact_location
        source = f"{uri}/{name}" if name else uri
        fetched = mlflow.artifacts.download_artifacts(
            artifact_uri=source, dst_path=str(target), tracking_uri=client.tracking_uri
        )
        return Path(fetched)
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"{_title(version)}: {name or 'its folder'} cannot be read from its artifacts ({reason})"
        ) from error


def _title(version: "ModelVersion") -> str:
    return f"version {version.version} of {version.name}"
