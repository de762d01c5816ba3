"""Clips for pretraining: of each video as many views as a step looks at, cut and coloured anew."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from models.clips.loader import ClipLoader
from models.clips.sampling import ClipInput
from models.clips.shards import Shards
from models.spec import PretrainParams


class Views:
    """Batches of views. What an epoch holds is a function of (seed, epoch) alone.

    Labels are not read, so no view is mirrored: a mirror may change what a clip means.

    Args:
        data: The dataset's folder.
        clips: Rows of the manifest.
        clip_input: What the backbone takes.
        params: Batch size and augmentation.
        num_views: Of each clip.
        seed: Of order, jitter and augmentation.
        num_workers: Decoding threads of each view.
        device: Where batches end up.
        shards: Where shards are, if not in the dataset's folder.
    """

    def __init__(
        self,
        data: Path,
        clips: pd.DataFrame,
        clip_input: ClipInput,
        params: PretrainParams,
        num_views: int,
        *,
        seed: int,
        num_workers: int = 1,
        device: torch.device | str = "cpu",
        shards: Shards | None = None,
    ) -> None:
        self._data = data
        self._clips = clips
        self._input = clip_input
        self._params = params
        self._num_views = num_views
        self._seed = seed
        self._num_workers = num_workers
        self._device = device
        self._shards = shards

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(len(self._clips) / self._params.batch_size)

    def epoch(self, number: int, *, first: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The batches of epoch ``number`` from batch ``first`` on, which is the first one that is read.

        Each is a ``clip_BCTHW`` a view, of the same videos in the same order.

        Raises:
            UserError: A shard is missing or damaged.
        """
        clips = self._clips.iloc[np.random.default_rng([self._seed, number]).permutation(len(self._clips))]
        views = [
            ClipLoader(
                self._data,
                clips,
                [],
                self._input,
                self._params.batch_size,
                augment=self._params.augment,
                seed=self._seed + view,
                num_workers=self._num_workers,
                device=self._device,
                shards=self._shards,
            ).epoch(number, first=first)
            for view in range(self._num_views)
        ]
        for batches in zip(*views, strict=True):
            yield tuple(batch.clip_BCTHW for batch in batches)
