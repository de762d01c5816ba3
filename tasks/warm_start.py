"""Bring the champion into the workspace, for the next training to start from: ``python -m tasks.warm_start``.

The files go to ``champion/`` and their hashes to ``champion.json``; see :mod:`tasks.champion_note`.
"""

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from models.file_digest import sha256_of
from models.saved import CARD, CLIPS, WEIGHTS, read_clip_ids
from tasks import layout
from tasks.champion_note import hashes_of, read_note, write_note
from tasks.params.whole import Params
from tasks.params_file import load_params
from tasks.process import run_stage
from tasks.registry.client import find_version, model_exists, reachable, registry, version_with_alias
from tasks.registry.names import CHAMPION, MODEL_FOLDER
from tasks.registry.trust import verified_files
from tasks.training_clips import labelled_clip_ids

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

logger = logging.getLogger(__name__)

_FILES = (WEIGHTS, CARD, CLIPS)


def warm_start(root: Path, params: Params) -> bool:
    """Let the workspace's next training start from the champion, if there is something that it does not know.

    A champion that was made with every labelled clip has nothing to learn: what the workspace starts from stays as it
    is, and so do the results, which that champion may be among. Without a champion the start is a cold one.

    Args:
        root: The workspace.
        params: Its parameters.

    Returns:
        Whether the workspace has a champion to start from.

    Raises:
        UserError: MLflow does not answer, or the champion's files are not what was registered.
    """
    if params.continual.start == "scratch":
        return False
    found = _champion(params.base.name)
    if found is None:
        write_note(root, None)
        return False
    version, files = found
    if not labelled_clip_ids(root / layout.DATA) - read_clip_ids(files):
        logger.info("champion %s knows every clip: what training starts from stays as it is", version.version)
        return read_note(root) is not None
    hashes = {name: sha256_of(files / name) for name in _FILES}
    if hashes_of(root / layout.CHAMPION) != hashes:
        _copy(files, root / layout.CHAMPION)
    if (read_note(root) or {}).get("files") != hashes:
        write_note(root, {"name": params.base.name, "version": int(version.version), "files": hashes})
        logger.info("training starts from champion %s", version.version)
    return True


def main() -> None:
    """Bring the champion into this checkout and hand it to DVC."""
    from tasks.workspace import add_champion_here

    if warm_start(Path(), load_params()):
        add_champion_here()


def _champion(name: str) -> "tuple[ModelVersion, Path] | None":
    client = registry()
    with reachable():
        if not model_exists(client, name):
            return None
    number = version_with_alias(client, name, CHAMPION)
    if number is None:
        return None
    version = find_version(client, name, number)
    return version, verified_files(client, version, tuple(f"{MODEL_FOLDER}/{file}" for file in _FILES)) / MODEL_FOLDER


def _copy(files: Path, folder: Path) -> None:
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        for name in _FILES:
            shutil.copyfile(files / name, temporary / name)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    run_stage(main)
