"""Sizes of X3D. As published, clips are so many frames at a stride, of video with 30 frames a second."""

from dataclasses import dataclass

from models.backbones.conventions import strided, whole
from models.clips.sampling import ClipInput


@dataclass(frozen=True)
class X3DFlavour:
    """An X3D and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation.
        width: Channels as a multiple of 12 in the first stage.
        depth: Blocks as a multiple of 1, 2, 5 and 3 in the four stages.
        num_features: Channels after the last projection.
    """

    clip_input: ClipInput
    width: float = 2.0
    depth: float = 2.2
    num_features: int = 2048


FLAVOURS = {
    "xs": X3DFlavour(strided(4, 12, 160)),
    "s": X3DFlavour(strided(13, 6, 160)),
    "m": X3DFlavour(strided(16, 5, 224)),
    "l": X3DFlavour(strided(16, 5, 312), depth=5.0),
    "8x112": X3DFlavour(whole(8, 112), depth=1.0),
    "debug": X3DFlavour(whole(4, 32), width=0.5, depth=0.2, num_features=32),
}
