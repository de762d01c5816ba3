"""Sizes of TimeSformer. As published: 8 frames, every 32nd of 30 a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.45, 0.45, 0.45)
_STD = (0.225, 0.225, 0.225)
_FPS = 30


@dataclass(frozen=True)
class TimeSformerFlavour:
    """A TimeSformer and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation. The size is a multiple of ``patch``.
        width: Features of a token; the inner layer of each block has four times as many.
        num_blocks: Blocks of two attentions and a two-layer perceptron.
        num_heads: Of each attention; they share the width.
        patch: Side of a patch, in pixels.
    """

    clip_input: ClipInput
    width: int = 768
    num_blocks: int = 12
    num_heads: int = 12
    patch: int = 16


FLAVOURS = {
    "base-8x32": TimeSformerFlavour(ClipInput(8, 7 * 32 / _FPS, 224, _MEAN, _STD)),
    "base-8x112": TimeSformerFlavour(ClipInput(8, None, 112, _MEAN, _STD)),
    "debug": TimeSformerFlavour(ClipInput(4, None, 32, _MEAN, _STD), width=32, num_blocks=2, num_heads=2, patch=8),
}
