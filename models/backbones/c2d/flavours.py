"""Sizes of C2D. As published: 8 frames, every 8th of 30 a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.45, 0.45, 0.45)
_STD = (0.225, 0.225, 0.225)
_FPS = 30


@dataclass(frozen=True)
class C2DFlavour:
    """A C2D and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation.
        stem: Channels of the first convolution; features are 32 times as many.
    """

    clip_input: ClipInput
    stem: int = 64


FLAVOURS = {
    "8x8": C2DFlavour(ClipInput(8, 7 * 8 / _FPS, 224, _MEAN, _STD)),
    "8x112": C2DFlavour(ClipInput(8, None, 112, _MEAN, _STD)),
    "debug": C2DFlavour(ClipInput(4, None, 32, _MEAN, _STD), stem=2),
}
