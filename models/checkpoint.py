"""Checkpoints that survive a kill at any instant, and damage.

A checkpoint carries the hash of its content in its name. The newest two are kept: when one is damaged the other is
used. Reading executes nothing (``weights_only``).
"""

import hashlib
import io
import logging
import pickle
import time
from pathlib import Path
from typing import Any

import torch

from models.file_digest import sha256_of
from models.files import replacing

logger = logging.getLogger(__name__)

_NUM_KEPT = 2


class Checkpoints:
    """The checkpoints of one job.

    Args:
        folder: Of this job only.
        every_s: Seconds after a checkpoint at which the next one is due.
    """

    def __init__(self, folder: Path, every_s: float) -> None:
        self._folder = folder
        self._every_s = every_s
        self._last_s = time.monotonic()

    def is_due(self) -> bool:
        """Whether the time for another one has come."""
        return time.monotonic() - self._last_s >= self._every_s

    def save(self, progress: tuple[int, int], state: dict[str, Any]) -> None:
        """Add a checkpoint, and drop all but the newest ones.

        Args:
            progress: Number of finished epochs, and of steps of the next.
            state: Tensors, numbers, texts, and lists and dicts of them.
        """
        content = io.BytesIO()
        torch.save(state, content)
        digest = hashlib.sha256(content.getbuffer()).hexdigest()
        epoch, step = progress
        with replacing(self._folder / f"{epoch:06d}-{step:09d}-{digest}.pt") as temporary:
            temporary.write_bytes(content.getbuffer())
        for old in _newest_first(self._folder)[_NUM_KEPT:]:
            old.unlink(missing_ok=True)
        self._last_s = time.monotonic()

    def load(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The newest one that is whole, or None."""
        for path in _newest_first(self._folder):
            try:
                if sha256_of(path) != path.stem.rpartition("-")[2]:
                    raise ValueError("its content is not what was written")
                state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
            except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
                logger.warning("%s is damaged (%s): going on from an earlier state", path.name, error)
            else:
                return state
        return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-*.pt"), reverse=True)
