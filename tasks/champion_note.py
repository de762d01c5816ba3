"""``champion.json``: which model training starts from, or null. Imports no torch: the search's parent needs it.

Git keeps it, and stages depend on it: it names the hashes of the files in ``champion/``, which DVC keeps. So a stage
asks no registry, and whoever checks the commit out trains from the same weights.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from models.errors import UserError
from models.file_digest import sha256_of
from models.files import replacing
from models.spec import ContinualParams
from tasks import layout


def champion_folder(continual: ContinualParams, root: Path = Path()) -> Path | None:
    """The folder of the champion that stages start from; None for a cold start.

    Raises:
        UserError: ``champion.json`` cannot be read, or the files are not those that it names.
    """
    note = None if continual.start == "scratch" else read_note(root)
    if note is None:
        return None
    folder = root / layout.CHAMPION
    if hashes_of(folder) != note["files"]:
        raise UserError(
            f"{folder}: these are not the files that {layout.CHAMPION_NOTE} names; run `dvc checkout champion.dvc` or "
            "`python -m tasks.warm_start`"
        )
    return folder


def start_key(continual: ContinualParams | None, champion: Path | None) -> str | None:
    """Hash of all that a job's start brings to its weights; None for a cold start, whatever the parameters say."""
    if champion is None:
        return None
    parts = [(continual or ContinualParams()).model_dump(mode="json"), hashes_of(champion)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_note(root: Path) -> dict[str, Any] | None:
    """What the workspace's ``champion.json`` says: ``name``, ``version`` and ``files``; None without a champion.

    Raises:
        UserError: It says something else.
    """
    path = root / layout.CHAMPION_NOTE
    try:
        note: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8"))["champion"]
        if note is not None and not isinstance(note["files"], dict):
            raise TypeError("files must be an object")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: this does not name a champion ({error}); run `git checkout {path.name}`") from None
    return note


def write_note(root: Path, note: dict[str, Any] | None) -> None:
    """Write ``champion.json``, unless it says so already."""
    path, content = root / layout.CHAMPION_NOTE, json.dumps({"champion": note}, indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == content:
        return
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in a folder, by name; empty where there is no folder."""
    return {path.name: sha256_of(path) for path in sorted(folder.glob("*")) if path.is_file()}
