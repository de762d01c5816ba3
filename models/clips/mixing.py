"""Two clips of a batch in one, with the labels of both.

Shapes: B clips, C channels, T frames, H height, W width, K classes.
"""

import numpy as np
import torch
from torch import Tensor

from models.objectives.target import Target
from models.spec import AugmentParams


class Mix:
    """Mixup (Zhang et al. 2018, arXiv:1710.09412) and CutMix (Yun et al. 2019, arXiv:1905.04899) for clips.

    Each batch is mixed with itself in another order, by one share, as in the papers. Mixup blends the clips; CutMix
    puts the same box of the other clip into every frame, so that what moves in the box still moves. Where both are on,
    each batch takes one of them, by equal chances.

    Args:
        params: ``mixup`` and ``cutmix``, the parameters of the Beta distribution of the share; not both are 0.
        num_classes: Size of K.
    """

    def __init__(self, params: AugmentParams, num_classes: int) -> None:
        self._ways = [(way, alpha) for way, alpha in ((mixup, params.mixup), (cutmix, params.cutmix)) if alpha]
        self._num_classes = num_classes

    def __call__(self, clip_BCTHW: Tensor, target: Target, rng: np.random.Generator) -> tuple[Tensor, Target]:
        """Mix a batch.

        Args:
            clip_BCTHW: Clips, on any device.
            target: What they are; of several labels each counts its clip's share.
            rng: Source of randomness, on the CPU: a seed means the same on every device.
        """
        way, alpha = self._ways[rng.integers(len(self._ways))]
        other_B = torch.from_numpy(rng.permutation(len(clip_BCTHW))).to(target.label_B.device)
        mixed_BCTHW, kept = way(clip_BCTHW, clip_BCTHW[other_B], float(rng.beta(alpha, alpha)), rng)
        own_BK = target.dense(self._num_classes)
        main_B = target.label_B if kept >= 0.5 else target.label_B[other_B]
        return mixed_BCTHW, Target(main_B, kept * own_BK + (1.0 - kept) * own_BK[other_B], target.several)


def mixup(clip_BCTHW: Tensor, other_BCTHW: Tensor, kept: float, _: np.random.Generator) -> tuple[Tensor, float]:
    """The share ``kept`` of each clip, and the rest of the other; and that share."""
    return torch.lerp(other_BCTHW, clip_BCTHW, kept), kept


def cutmix(clip_BCTHW: Tensor, other_BCTHW: Tensor, kept: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Each clip with a box of the other, about the share ``1 - kept`` of each frame; and the share that was kept.

    The box's middle is anywhere in the frame, and what reaches over its edge is cut off, as in the paper.
    """
    height, width = clip_BCTHW.shape[-2:]
    half = 0.5 * (1.0 - kept) ** 0.5
    y, x = rng.random(2)
    top, bottom = (round(height * min(max(edge, 0.0), 1.0)) for edge in (y - half, y + half))
    left, right = (round(width * min(max(edge, 0.0), 1.0)) for edge in (x - half, x + half))
    mixed_BCTHW = clip_BCTHW.clone()
    mixed_BCTHW[..., top:bottom, left:right] = other_BCTHW[..., top:bottom, left:right]
    return mixed_BCTHW, 1.0 - (bottom - top) * (right - left) / (height * width)
