"""Clips whose frames are in random order: what a model that sees time must not answer as well."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from models.clips.loader import Batch
from models.inference import Loader


class Shuffled:
    """A loader whose clips have their frames in random order, another one for each clip.

    Args:
        loader: Gives the clips.
        seed: Of the orders.
    """

    def __init__(self, loader: Loader, seed: int) -> None:
        self._loader = loader
        self._seed = seed

    @property
    def num_clips(self) -> int:
        """As of the loader."""
        return self._loader.num_clips

    def __len__(self) -> int:
        return len(self._loader)

    def epoch(self, number: int, **options: Any) -> Iterator[Batch]:
        """The loader's batches."""
        for batch in self._loader.epoch(number, **options):
            num_frames = batch.clip_BCTHW.shape[2]
            orders = [np.random.default_rng([self._seed, int(at)]).permutation(num_frames) for at in batch.index_B]
            clips = [clip[:, torch.from_numpy(order)] for clip, order in zip(batch.clip_BCTHW, orders, strict=True)]
            yield Batch(torch.stack(clips), batch.label_B, batch.index_B)
