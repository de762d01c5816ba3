"""Class probabilities of clips.

Shapes: N clips, K classes.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from models.build import VideoModel
from models.clips.loader import Batch


class Loader(Protocol):
    """What :class:`models.clips.loader.ClipLoader` offers."""

    @property
    def num_clips(self) -> int:
        """Clips in an epoch."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch, a pure function of its number."""


def predict(model: VideoModel, loader: Loader) -> NDArray[np.float32]:
    """Probabilities of every clip of ``loader`` in the order of its table.

    Returns:
        ``probabilities_NK``; rows sum to 1.
    """
    was_training = model.training
    model.eval()
    probabilities_NK = np.empty((0, 0), np.float32)
    for batch in _shown(loader.epoch(0), len(loader)):
        with torch.inference_mode():
            part_BK = model(batch.clip_BCTHW).float().softmax(1).cpu().numpy()
        if not probabilities_NK.size:
            probabilities_NK = np.zeros((loader.num_clips, part_BK.shape[1]), np.float32)
        probabilities_NK[batch.index_B.cpu().numpy()] = part_BK
    model.train(was_training)
    return probabilities_NK


def _shown(batches: Iterable[Batch], num_batches: int) -> Iterable[Batch]:
    shown: Iterable[Batch] = tqdm(batches, "predict", num_batches, leave=False, disable=None)
    return shown
