"""A map laid over the frames that it is about.

Shapes: T frames, H height, W width, C channels.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.clips.sampling import ClipInput

_COLOUR = np.array([255.0, 64.0, 0.0])
_STRONGEST = 0.65
"""Share of colour where a map is 1: what lies under it stays visible."""


def overlay(clip_CTHW: Tensor, map_THW: Tensor, clip_input: ClipInput) -> NDArray[np.uint8]:
    """Frames as a model saw them, in grey, with what it looked at in orange.

    Args:
        clip_CTHW: Normalised, as the model takes it.
        map_THW: From 0 to 1.
        clip_input: Whose normalisation is undone.

    Returns:
        ``frames_THWC``.
    """
    mean_C111, std_C111 = (torch.tensor(each)[:, None, None, None] for each in (clip_input.mean, clip_input.std))
    grey_THW = (clip_CTHW.cpu() * std_C111 + mean_C111).clamp(0, 1).mean(0).numpy()
    share_THW1 = _STRONGEST * map_THW.cpu().numpy()[..., None]
    mixed_THWC = (1.0 - share_THW1) * 255.0 * grey_THW[..., None] + share_THW1 * _COLOUR
    frames_THWC: NDArray[np.uint8] = np.rint(mixed_THWC).astype(np.uint8)
    return frames_THWC
