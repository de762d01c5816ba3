"""Sizes of R(2+1)D. As published: 16 frames, every 4th of 30 a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.45, 0.45, 0.45)
_STD = (0.225, 0.225, 0.225)
_FPS = 30


@dataclass(frozen=True)
class R2Plus1DFlavour:
    """An R(2+1)D and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation.
        stem: Channels of the first convolution; features are 32 times as many.
    """

    clip_input: ClipInput
    stem: int = 64


FLAVOURS = {
    "16x4": R2Plus1DFlavour(ClipInput(16, 15 * 4 / _FPS, 224, _MEAN, _STD)),
    "8x112": R2Plus1DFlavour(ClipInput(8, None, 112, _MEAN, _STD)),
    "debug": R2Plus1DFlavour(ClipInput(8, None, 32, _MEAN, _STD), stem=2),
}
