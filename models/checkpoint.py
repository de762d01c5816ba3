"""Checkpoints that survive a kill at any instant, and damage.

A checkpoint carries the hash of its content in its name. The newest two are kept: when one is damaged the other is
used. Reading executes nothing (``weights_only``).
"""

import hashlib
import io
import logging
import pickle
from pathlib import Path
from typing import Any

import torch

from models.files import replacing

logger = logging.getLogger(__name__)

_NUM_KEPT = 2


def save_checkpoint(folder: Path, epoch: int, state: dict[str, Any]) -> None:
    """Add the checkpoint of ``epoch`` to ``folder``, and drop all but the newest ones.

    Args:
        folder: Of one job only.
        epoch: Number of finished epochs.
        state: Tensors, numbers, texts, and lists and dicts of them.
    """
    content = io.BytesIO()
    torch.save(state, content)
    digest = hashlib.sha256(content.getbuffer()).hexdigest()
    with replacing(folder / f"{epoch:06d}-{digest}.pt") as temporary:
        temporary.write_bytes(content.getbuffer())
    for old in _newest_first(folder)[_NUM_KEPT:]:
        old.unlink(missing_ok=True)


def load_checkpoint(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The newest checkpoint of ``folder`` that is whole, or None."""
    for path in _newest_first(folder):
        try:
            if _sha256(path) != path.stem.partition("-")[2]:
                raise ValueError("its content is not what was written")
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
            logger.warning("%s is damaged (%s): going on from an earlier state", path.name, error)
        else:
            return state
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-*.pt"), reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
