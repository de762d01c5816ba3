"""Sizes of MViT. As published: 16 frames, every 4th, or 32 frames, every 3rd, of 30 a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.45, 0.45, 0.45)
_STD = (0.225, 0.225, 0.225)
_FPS = 30


@dataclass(frozen=True)
class MViTFlavour:
    """An MViT and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation. Frames are even, the size is a multiple of 32.
        width: Channels of the first block; each block of ``doublings`` ends with twice as many.
        num_blocks: Blocks in all.
        doublings: Blocks that halve height and width and have twice as many heads as those before.
        published_frames: Frames of the published weights, whose embedding of time is resized to these.
    """

    clip_input: ClipInput
    width: int = 96
    num_blocks: int = 16
    doublings: tuple[int, ...] = (1, 3, 14)
    published_frames: int = 16


def _clip(num_frames: int, stride: int) -> ClipInput:
    return ClipInput(num_frames, (num_frames - 1) * stride / _FPS, 224, _MEAN, _STD)


FLAVOURS = {
    "16x4": MViTFlavour(_clip(16, 4)),
    "32x3": MViTFlavour(_clip(32, 3), published_frames=32),
    "8x112": MViTFlavour(ClipInput(8, None, 112, _MEAN, _STD)),
    "tiny-8x112": MViTFlavour(ClipInput(8, None, 112, _MEAN, _STD), width=48, num_blocks=6, doublings=(1, 2, 5)),
    "debug": MViTFlavour(ClipInput(4, None, 32, _MEAN, _STD), width=8, num_blocks=3, doublings=(1, 2)),
}
