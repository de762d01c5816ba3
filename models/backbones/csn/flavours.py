"""Sizes of CSN. As published: a ResNet-101 on 32 frames, every 2nd of 30 a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.45, 0.45, 0.45)
_STD = (0.225, 0.225, 0.225)
_FPS = 30


@dataclass(frozen=True)
class CSNFlavour:
    """A CSN and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation.
        depth: 50, 101 or 152 layers.
        stem: Channels of the first convolution; features are 32 times as many.
    """

    clip_input: ClipInput
    depth: int = 101
    stem: int = 64


FLAVOURS = {
    "32x2": CSNFlavour(ClipInput(32, 31 * 2 / _FPS, 224, _MEAN, _STD)),
    "16x112": CSNFlavour(ClipInput(16, None, 112, _MEAN, _STD)),
    "debug": CSNFlavour(ClipInput(16, None, 32, _MEAN, _STD), depth=50, stem=2),
}
