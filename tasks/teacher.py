"""The model that a job is taught by: a folder here, or a version in the registry."""

from pathlib import Path
from typing import Any

from models.errors import UserError
from models.saved import CARD, WEIGHTS, read_card
from models.spec import TeacherParams

_REGISTRY = "models:/"


def teacher_folder(teacher: TeacherParams) -> Path | None:
    """The folder of the teacher's weights and card; None without a teacher.

    Raises:
        UserError: There is no such model, MLflow does not answer, or its files are not what was registered.
    """
    if teacher.model is None:
        return None
    if not teacher.model.startswith(_REGISTRY):
        read_card(Path(teacher.model))
        return Path(teacher.model)
    return _registered(teacher.model)


def teacher_note(teacher: TeacherParams) -> dict[str, Any]:
    """Which weights teach, for a model's card and a job's key; empty without a teacher."""
    folder = teacher_folder(teacher)
    return {} if folder is None else {"teacher": {"weights_sha256": read_card(folder)["weights_sha256"]}}


def _registered(uri: str) -> Path:
    from tasks.registry.client import find_version, registry, version_with_alias
    from tasks.registry.names import MODEL_FOLDER
    from tasks.registry.trust import verified_files

    client = registry()
    name, at, alias = uri.removeprefix(_REGISTRY).partition("@")
    if at:
        found = version_with_alias(client, name, alias)
    else:
        name, _, number = name.partition("/")
        found = int(number) if number.isdecimal() else None
    if found is None:
        raise UserError(
            f"params.yaml: fine_tune.teacher.model: {uri}: there is no such version; write models:/NAME/VERSION, "
            "models:/NAME@ALIAS, or the path of a model's folder"
        )
    version = find_version(client, name, found)
    files = (f"{MODEL_FOLDER}/{file}" for file in (WEIGHTS, CARD))
    return verified_files(client, version, tuple(files)) / MODEL_FOLDER
