"""What a step that trains on clips takes: a batch of the loader, made harder as the job says."""

import numpy as np
from torch import Tensor

from models.build import VideoModel
from models.clips.loader import Batch
from models.clips.mixing import Mix
from models.objectives.target import Target
from models.spec import FineTuneParams

_STREAM = 2
"""Tells these random numbers from those of the loader, which draws from (seed, epoch, position) too."""


class ClipExamples:
    """Batches with what their clips should be called. What is random is a pure function of (seed, epoch, position).

    Args:
        model: What is trained.
        params: The job.
        seed: Of all that is drawn here.
    """

    def __init__(self, model: VideoModel, params: FineTuneParams, *, seed: int) -> None:
        self._mix = Mix(params.augment, num_classes=len(model.get_parameter("head.classifier.weight")))
        self._seed = seed

    def __call__(self, batch: Batch, epoch: int, position: int) -> tuple[Tensor, Target]:
        """Clips and right answers of the batch at ``position`` (from 0) of ``epoch``."""
        rng = np.random.default_rng([self._seed, epoch, position, _STREAM])
        return self._mix(batch.clip_BCTHW, batch.label_B, rng)
