"""What networks take: frames at a stride or over the whole clip, normalised as they were trained."""

from typing import NamedTuple

from models.clips.sampling import ClipInput

_FPS = 30
"""Of the video that published strides count in."""


class Normalisation(NamedTuple):
    """Mean and standard deviation of the channels, of values from 0 to 1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


KINETICS = Normalisation((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SYMMETRIC = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def strided(num_frames: int, stride: int, size: int = 224, normalised: Normalisation = KINETICS) -> ClipInput:
    """So many frames, every ``stride``-th of 30 a second, as squares of ``size`` pixels."""
    return ClipInput(num_frames, (num_frames - 1) * stride / _FPS, size, *normalised)


def whole(num_frames: int, size: int, normalised: Normalisation = KINETICS) -> ClipInput:
    """So many frames, spread over the whole clip, as squares of ``size`` pixels."""
    return ClipInput(num_frames, None, size, *normalised)
