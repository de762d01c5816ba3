"""Sizes of MViT. As published: 16 frames, every 4th, or 32 frames, every 3rd, of 30 a second."""

from dataclasses import dataclass

from models.backbones.conventions import strided, whole
from models.clips.sampling import ClipInput


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


FLAVOURS = {
    "16x4": MViTFlavour(strided(16, 4)),
    "32x3": MViTFlavour(strided(32, 3), published_frames=32),
    "8x112": MViTFlavour(whole(8, 112)),
    "tiny-8x112": MViTFlavour(whole(8, 112), width=48, num_blocks=6, doublings=(1, 2, 5)),
    "debug": MViTFlavour(whole(4, 32), width=8, num_blocks=3, doublings=(1, 2)),
}
