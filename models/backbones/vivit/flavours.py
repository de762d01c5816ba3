"""Sizes of ViViT. As published: 32 frames, every 2nd of 30 a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.5, 0.5, 0.5)
_STD = (0.5, 0.5, 0.5)
_FPS = 30


@dataclass(frozen=True)
class ViViTFlavour:
    """A ViViT and what it takes.

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


FLAVOURS = {
    "base-32x2": ViViTFlavour(ClipInput(32, 31 * 2 / _FPS, 224, _MEAN, _STD)),
    "base-8x112": ViViTFlavour(ClipInput(8, None, 112, _MEAN, _STD)),
    "debug": ViViTFlavour(ClipInput(4, None, 32, _MEAN, _STD), width=32, num_blocks=2, num_heads=2, patch=8),
}
