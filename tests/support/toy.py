"""Clips that can be told apart by a strong sign, which is wrong now and then, and by a faint one, which never is.

A clip is brighter or darker as a whole, and has faint stripes that are light where those of the other class are dark.
An attack can turn the stripes round, but not the brightness: who only wants to be right learns the stripes.
"""

import torch
from torch import Tensor

from models.clips.sampling import ClipInput

EPSILON = 8.0
STRONG, FAINT, NOISE = 20.0, 4.0, 2.0
WRONG = 0.25


def toy_clips(clip_input: ClipInput, num_clips: int, seed: int) -> tuple[Tensor, Tensor]:
    """Normalised ``clip_NCTHW`` of two classes, and ``label_N``."""
    generator = torch.Generator().manual_seed(seed)
    side = clip_input.size
    label_N = torch.arange(num_clips) % 2
    sign_N = 2.0 * label_N - 1.0
    wrong_N = torch.rand(num_clips, generator=generator) < WRONG
    bright_N = torch.where(wrong_N, -sign_N, sign_N)
    stripes_W = 1.0 - 2.0 * (torch.arange(side) % 2)
    noise_NCTHW = torch.randn(num_clips, 3, clip_input.num_frames, side, side, generator=generator)
    value_NCTHW = 128.0 + STRONG * bright_N.view(-1, 1, 1, 1, 1) + FAINT * sign_N.view(-1, 1, 1, 1, 1) * stripes_W
    mean, std = (torch.tensor(each).view(3, 1, 1, 1) for each in (clip_input.mean, clip_input.std))
    return ((value_NCTHW + NOISE * noise_NCTHW) / 255.0 - mean) / std, label_N
