"""Sizes of VideoMAE. As published: 16 frames, every 4th of 30 a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_FPS = 30


@dataclass(frozen=True)
class VideoMAEFlavour:
    """A VideoMAE and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation. Frames are even, the size is a multiple of ``patch``.
        width: Features of a token; the inner layer of each block has four times as many.
        num_blocks: Blocks of attention and two-layer perceptron.
        num_heads: Of attention; they share the width.
        patch: Side of a patch, in pixels. Patches are two frames deep.
    """

    clip_input: ClipInput
    width: int = 768
    num_blocks: int = 12
    num_heads: int = 12
    patch: int = 16


_PUBLISHED = ClipInput(16, 15 * 4 / _FPS, 224, _MEAN, _STD)

FLAVOURS = {
    "base-16x4": VideoMAEFlavour(_PUBLISHED),
    "small-16x4": VideoMAEFlavour(_PUBLISHED, width=384, num_heads=6),
    "base-8x112": VideoMAEFlavour(ClipInput(8, None, 112, _MEAN, _STD)),
    "small-8x112": VideoMAEFlavour(ClipInput(8, None, 112, _MEAN, _STD), width=384, num_heads=6),
    "debug": VideoMAEFlavour(ClipInput(4, None, 32, _MEAN, _STD), width=32, num_blocks=2, num_heads=2, patch=8),
}
