"""Where the watch keeps what outlives it, under ``settings().home``; and who watches, one at a time.

- ``incoming/RECIPE/``: video as ingest stores it, by the recipe that champions took it in with, and by whether its
  clips may have several labels;
- ``watch/NAME/embeddings/WEIGHTS/``: what a champion made of it, by clip;
- ``watch/NAME/vVERSION-WEIGHTS.json``: all that the watch remembers of a champion;
- ``watch/NAME/reports/``: its pages;
- ``requests/``: what people are asked to label.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from models.errors import UserError
from tasks.settings import settings
from tasks.video.clips import Recipe
from tasks.video.shelf import storage_key


def watch_folder(name: str) -> Path:
    """What the watch of the model ``name`` keeps."""
    return settings().home / "watch" / quote(name, safe="")


def incoming_folder(recipe: Recipe, *, multi_label: bool = False) -> Path:
    """Video that came in, stored as ``recipe`` says; what may have several labels is kept apart from the rest."""
    key = f"{storage_key(recipe)}{' multi_label' if multi_label else ''}"
    return settings().home / "incoming" / hashlib.sha256(key.encode()).hexdigest()[:12]


def requests_folder() -> Path:
    """Labelling requests."""
    return settings().home / "requests"


@contextmanager
def alone_watching(name: str) -> Iterator[None]:
    """Hold the watch of ``name``; it goes when the process does.

    Raises:
        UserError: Another process watches.
    """
    lock = watch_folder(name) / "lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout:
        raise UserError(f"{lock}: another watch of {name} is at work; wait for it to end") from None
