"""Clips changed by less than one sees, so that a model is wrong about them.

Shapes: B clips, C channels, T frames, H height, W width.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.clips.sampling import ClipInput
from models.objectives.target import Target
from models.step import autocast

_STEP = 2.5
"""Steps of an attack could walk so many times the bound together, as in Madry et al.'s code."""


class PixelBound:
    """All clips that differ from a clip by at most ``epsilon`` in any pixel, and are pictures.

    Bounds are kept before normalisation: each channel has its own in the values that a model takes.

    Args:
        clip_input: Mean and deviation by which clips are normalised.
        epsilon: The largest change of a value 0..255.
    """

    def __init__(self, clip_input: ClipInput, epsilon: float) -> None:
        mean_C, std_C = torch.tensor(clip_input.mean), torch.tensor(clip_input.std)
        self._size_C111 = (epsilon / 255.0 / std_C).view(3, 1, 1, 1)
        self._black_C111 = (-mean_C / std_C).view(3, 1, 1, 1)
        self._white_C111 = ((1.0 - mean_C) / std_C).view(3, 1, 1, 1)

    def step(self, clip_BCTHW: Tensor, from_BCTHW: Tensor, direction_BCTHW: Tensor, size: float) -> Tensor:
        """Go ``size`` times the bound from ``from_BCTHW`` and come back to what is allowed around ``clip_BCTHW``."""
        size_C111, black_C111, white_C111 = (
            each.to(clip_BCTHW.device) for each in (self._size_C111, self._black_C111, self._white_C111)
        )
        gone_BCTHW = from_BCTHW + size * size_C111 * direction_BCTHW
        near_BCTHW = torch.clamp(gone_BCTHW, clip_BCTHW - size_C111, clip_BCTHW + size_C111)
        return torch.clamp(near_BCTHW, black_C111, white_C111)


def attack(
    module: nn.Module,
    clip_BCTHW: Tensor,
    target: Target,
    bound: PixelBound,
    *,
    steps: int,
    rng: np.random.Generator | None,
    precision: str = "fp32",
) -> Tensor:
    """Clips within ``bound`` on which the cross entropy is large.

    Projected gradient ascent on the gradient's signs (PGD, Madry et al. 2018, arXiv:1706.06083). One step without a
    random start is the fast gradient sign method (FGSM, Goodfellow et al. 2015, arXiv:1412.6572).

    Args:
        module: From ``clip_BCTHW`` to ``logits_BK``; it is attacked in eval mode, and keeps its mode and gradients.
        clip_BCTHW: Normalised clips.
        target: Their right answers.
        bound: How far to go.
        steps: Of the ascent.
        rng: Where it starts within the bound; None for the clips themselves.
        precision: Of the job; see :func:`models.step.autocast`.
    """
    found_BCTHW = clip_BCTHW
    if rng is not None:
        seeded = torch.Generator().manual_seed(int(rng.integers(2**63)))
        start_BCTHW = 2.0 * torch.rand(clip_BCTHW.shape, generator=seeded) - 1.0
        found_BCTHW = bound.step(clip_BCTHW, clip_BCTHW, start_BCTHW.to(clip_BCTHW.device), 1.0)
    size = 1.0 if steps == 1 and rng is None else _STEP / steps
    with _in_eval_mode(module), torch.enable_grad():
        for _ in range(steps):
            found_BCTHW = found_BCTHW.detach().requires_grad_()
            with autocast(precision, clip_BCTHW.device):
                logits_BK = module(found_BCTHW)
            wanted_BK = target.dense(logits_BK.shape[1])
            cross_entropy = F.binary_cross_entropy_with_logits if target.several else F.cross_entropy
            loss = cross_entropy(logits_BK.float(), wanted_BK, reduction="sum")
            (gradient_BCTHW,) = torch.autograd.grad(loss, found_BCTHW)
            found_BCTHW = bound.step(clip_BCTHW, found_BCTHW.detach(), gradient_BCTHW.sign(), size)
    return found_BCTHW


@contextmanager
def _in_eval_mode(module: nn.Module) -> Iterator[None]:
    training = [(each, each.training) for each in module.modules()]  # one by one: some may be frozen
    module.eval()
    try:
        yield
    finally:
        for each, was_training in training:
            each.training = was_training
