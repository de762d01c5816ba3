"""Sizes of the Inception I3D. As published: 64 successive frames of 25 a second, values in -1..1."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_HALF = (0.5, 0.5, 0.5)
_FPS = 25


@dataclass(frozen=True)
class I3DInceptionFlavour:
    """An Inception I3D and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation.
        width: Channels as a share of the published ones; features are 1024 times it.
    """

    clip_input: ClipInput
    width: float = 1.0


FLAVOURS = {
    "64x224": I3DInceptionFlavour(ClipInput(64, 63 / _FPS, 224, _HALF, _HALF)),
    "16x112": I3DInceptionFlavour(ClipInput(16, None, 112, _HALF, _HALF)),
    "debug": I3DInceptionFlavour(ClipInput(16, None, 32, _HALF, _HALF), width=0.0625),
}
