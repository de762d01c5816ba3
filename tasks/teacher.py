"""The model that a job is taught by: a folder here, or a version in the registry."""

from pathlib import Path
from typing import Any

from models.saved import CARD, WEIGHTS, read_card
from models.spec import TeacherParams
from tasks.registry.names import ADDRESS, MODEL_FOLDER


def teacher_folder(teacher: TeacherParams) -> Path | None:
    """The folder of the teacher's weights and card; None without a teacher.

    Raises:
        UserError: There is no such model, MLflow does not answer, or its files are not what was registered.
    """
    if teacher.model is None:
        return None
    folder = _registered(teacher.model) if teacher.model.startswith(ADDRESS) else Path(teacher.model)
    read_card(folder)
    return folder


def teacher_note(teacher: TeacherParams) -> dict[str, Any]:
    """Which weights teach, for a model's card and a job's key; empty without a teacher."""
    folder = teacher_folder(teacher)
    return {} if folder is None else {"teacher": {"weights_sha256": read_card(folder)["weights_sha256"]}}


def _registered(address: str) -> Path:
    from tasks.registry.address import addressed_version
    from tasks.registry.client import registry
    from tasks.registry.trust import verified_files

    client = registry()
    version = addressed_version(client, address, "fine_tune.teacher.model")
    return verified_files(client, version, tuple(f"{MODEL_FOLDER}/{file}" for file in (WEIGHTS, CARD))) / MODEL_FOLDER
