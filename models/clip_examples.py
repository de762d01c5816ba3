"""What a step that trains on clips takes: a batch of the loader, made harder as the job says.

Shapes: B clips, N attacked clips.
"""

from collections.abc import Iterator

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

    Attributes:
        steps_per_batch: Training steps that a batch gives.

    Args:
        model: What is trained.
        params: The job.
        seed: Of all that is drawn here.
    """

    def __init__(self, model: VideoModel, params: FineTuneParams, *, seed: int) -> None:
        self._model = model
        self._mix = Mix(params.augment, num_classes=len(model.get_parameter("head.classifier.weight")))
        self._attack = params.adversarial
        self._bound = PixelBound(model.clip_input, params.adversarial.epsilon)
        self._bf16 = params.precision == "bf16"
        self._seed = seed
        self.steps_per_batch = self._attack.steps if self._attack.method == "free" else 1

    def __call__(self, batch: Batch, epoch: int, position: int) -> Iterator[tuple[Tensor, Target]]:
        """Clips and right answers of the batch at ``position`` (from 0) of ``epoch``, step by step."""
        rng = np.random.default_rng([self._seed, epoch, position, _STREAM])
        clip_BCTHW, target = self._mix(batch.clip_BCTHW, batch.label_B, rng)
        if self._attack.method == "none":
            yield clip_BCTHW, target
        elif self._attack.method == "free":
            yield from self._replayed(clip_BCTHW, target, rng)
        else:
            yield self._attacked(clip_BCTHW, target, rng), target

    def _attacked(self, clip_BCTHW: Tensor, target: Target, rng: np.random.Generator) -> Tensor:
        at_N = self._chosen(clip_BCTHW, rng)
        shares = None if target.share_BK is None else target.share_BK[at_N]
        found_NCTHW = attack(
            self._model,
            clip_BCTHW[at_N],
            Target(target.label_B[at_N], shares),
            self._bound,
            steps=self._attack.steps if self._attack.method == "pgd" else 1,
            rng=rng if self._attack.method == "pgd" else None,
            bf16=self._bf16,
        )
        return clip_BCTHW.index_copy(0, at_N, found_NCTHW)

    def _replayed(
        self, clip_BCTHW: Tensor, target: Target, rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Target]]:
        """The batch again and again, moved by the gradient that each training step leaves behind.

        Adversarial training for free (Shafahi et al. 2019, arXiv:1904.12843), the perturbation starting anew with each
        batch: one that went on would have to be in the checkpoint.
        """
        at_N = self._chosen(clip_BCTHW, rng)
        step_BCTHW = torch.zeros_like(clip_BCTHW)
        found_BCTHW = clip_BCTHW
        for _ in range(self.steps_per_batch):
            found_BCTHW = found_BCTHW.detach().requires_grad_()
            yield found_BCTHW, target
            if found_BCTHW.grad is None:
                raise RuntimeError("a training step must end with the gradient of its loss before the next one starts")
            step_BCTHW[at_N] = found_BCTHW.grad[at_N].sign()
            found_BCTHW = self._bound.step(clip_BCTHW, found_BCTHW.detach(), step_BCTHW, 1.0)

    def _chosen(self, clip_BCTHW: Tensor, rng: np.random.Generator) -> Tensor:
        """Places of the clips to attack."""
        num_attacked = round(self._attack.share * len(clip_BCTHW))
        return torch.from_numpy(rng.permutation(len(clip_BCTHW))[:num_attacked]).to(clip_BCTHW.device)
