"""What a step that trains on clips takes: a batch of the loader, made harder as the job says.

Shapes: B clips, N attacked clips.
"""

import numpy as np
import torch
from torch import Tensor

from models.adversarial import PixelBound, attack
from models.build import VideoModel
from models.clips.loader import Batch
from models.clips.mixing import Mix
from models.objectives.target import Target
from models.spec import FineTuneParams

_STREAM = 2
"""Tells these random numbers from those of the loader, which draws from (seed, epoch, position) too."""


class ClipExamples:
    """Batches with what their clips should be called. What is random is a pure function of (seed, epoch, position).

    Where several processes divide a batch, each mixes and attacks its own part.

    Args:
        model: What is trained.
        params: The job.
        seed: Of all that is drawn here.
    """

    def __init__(self, model: VideoModel, params: FineTuneParams, *, seed: int) -> None:
        self._model = model
        self._mix = None
        if params.augment.mixup or params.augment.cutmix:
            self._mix = Mix(params.augment, num_classes=len(model.get_parameter("head.classifier.weight")))
        self._attack = params.adversarial
        self._bound = PixelBound(model.clip_input, params.adversarial.epsilon)
        self._precision = params.precision
        self._seed = seed

    def __call__(self, batch: Batch, epoch: int, position: int) -> tuple[Tensor, Target]:
        """Clips and right answers of the batch at ``position`` (from 0) of ``epoch``."""
        rng = np.random.default_rng([self._seed, epoch, position, _STREAM])
        clip_BCTHW, target = batch.clip_BCTHW, Target.of(batch.label_B, batch.wanted_BK)
        if self._mix:
            clip_BCTHW, target = self._mix(clip_BCTHW, target, rng)
        num_attacked = 0 if self._attack.method == "none" else round(self._attack.share * len(clip_BCTHW))
        if not num_attacked:
            return clip_BCTHW, target
        at_N = torch.from_numpy(rng.permutation(len(clip_BCTHW))[:num_attacked]).to(clip_BCTHW.device)
        found_NCTHW = attack(
            self._model,
            clip_BCTHW[at_N],
            target.rows(at_N),
            self._bound,
            steps=self._attack.steps if self._attack.method == "pgd" else 1,
            rng=rng if self._attack.method == "pgd" else None,
            precision=self._precision,
        )
        return clip_BCTHW.index_copy(0, at_N, found_NCTHW), target
