"""Sizes of ViT. Frames are spread over the whole clip."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ViTFlavour:
    """A ViT and what it takes.

    Attributes:
        clip_input: Frames, size, normalisation. The size is a multiple of ``patch``.
        width: Features of a token.
        num_blocks: Blocks of attention and two-layer perceptron.
        num_heads: Of attention; they share the width.
        patch: Side of a patch, in pixels.
    """

    clip_input: ClipInput
    width: int
    num_blocks: int
    num_heads: int
    patch: int = 16


def _clip(num_frames: int, size: int) -> ClipInput:
    return ClipInput(num_frames, None, size, _MEAN, _STD)


FLAVOURS = {
    "tiny-8x112": ViTFlavour(_clip(8, 112), 192, 12, 3),
    "tiny-8x224": ViTFlavour(_clip(8, 224), 192, 12, 3),
    "small-8x112": ViTFlavour(_clip(8, 112), 384, 12, 6),
    "small-8x224": ViTFlavour(_clip(8, 224), 384, 12, 6),
    "base-8x112": ViTFlavour(_clip(8, 112), 768, 12, 12),
    "base-8x224": ViTFlavour(_clip(8, 224), 768, 12, 12),
    "debug": ViTFlavour(_clip(4, 32), 32, 2, 2, patch=8),
}
