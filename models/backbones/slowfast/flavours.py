"""Sizes of SlowFast. As published: 32 or 64 frames, every 2nd of 30 a second; names give the slow pathway's."""

from dataclasses import dataclass

from models.backbones.conventions import strided, whole
from models.clips.sampling import ClipInput


@dataclass(frozen=True)
class SlowFastFlavour:
    """A SlowFast and what it takes.

    Attributes:
        clip_input: Frames of the fast pathway, span, size, normalisation.
        alpha: Fast frames for each slow one.
        depth: 18, 50 or 101 layers of each pathway.
        fusion: Frames that the way from the fast to the slow pathway looks at.
        temporal_blocks: Of the 23 blocks in the third stage of 101 layers, those that look along time, from the first;
            None for the usual: all of the fast pathway's and, with 3 x 1 x 1 kernels from this stage on, of the slow's.
        stem: Channels of the slow pathway's first convolution; its features are 32 times as many.
        beta: How many times wider the slow pathway is.
    """

    clip_input: ClipInput
    alpha: int = 4
    depth: int = 50
    fusion: int = 7
    temporal_blocks: int | None = None
    stem: int = 64
    beta: int = 8


FLAVOURS = {
    "r50-4x16": SlowFastFlavour(strided(32, 2), alpha=8, fusion=5),
    "r50-8x8": SlowFastFlavour(strided(32, 2)),
    "r101-8x8": SlowFastFlavour(strided(32, 2), depth=101, fusion=5),
    "r101-16x8": SlowFastFlavour(strided(64, 2), depth=101, fusion=5, temporal_blocks=6),
    "16x112": SlowFastFlavour(whole(16, 112)),
    "debug": SlowFastFlavour(whole(8, 32), depth=18, stem=4, beta=2),
}
