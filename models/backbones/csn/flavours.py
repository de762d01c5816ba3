"""Sizes of CSN. As published: a ResNet-101 on 32 frames, every 2nd of 30 a second."""

from dataclasses import dataclass

from models.backbones.conventions import strided, whole
from models.clips.sampling import ClipInput


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
    "32x2": CSNFlavour(strided(32, 2)),
    "16x112": CSNFlavour(whole(16, 112)),
    "debug": CSNFlavour(whole(16, 32), depth=50, stem=2),
}
