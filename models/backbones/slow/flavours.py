"""Sizes of Slow. As published: so many frames at a stride, of video with 30 frames a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.45, 0.45, 0.45)
_STD = (0.225, 0.225, 0.225)
_FPS = 30


@dataclass(frozen=True)
class SlowFlavour:
    """A Slow pathway and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation.
        stem: Channels of the first convolution; features are 32 times as many.
    """

    clip_input: ClipInput
    stem: int = 64


FLAVOURS = {
    "8x8": SlowFlavour(ClipInput(8, 7 * 8 / _FPS, 224, _MEAN, _STD)),
    "4x16": SlowFlavour(ClipInput(4, 3 * 16 / _FPS, 224, _MEAN, _STD)),
    "8x112": SlowFlavour(ClipInput(8, None, 112, _MEAN, _STD)),
    "debug": SlowFlavour(ClipInput(4, None, 32, _MEAN, _STD), stem=2),
}
