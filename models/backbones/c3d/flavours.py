"""Sizes of C3D. As published: 16 successive frames of 30 a second."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (0.45, 0.45, 0.45)
_STD = (0.225, 0.225, 0.225)


@dataclass(frozen=True)
class C3DFlavour:
    """A C3D and what it takes. Five halvings of time want 16 frames.

    Attributes:
        clip_input: Frames, size, normalisation.
        channels: Of the five groups of convolutions.
        num_features: Of each fully connected layer.
    """

    clip_input: ClipInput
    channels: tuple[int, int, int, int, int]
    num_features: int


# Sports-1M's weights want values of 0..255 without their mean, channels in the order that their publisher names them.
_SPORTS_MEAN = (104 / 255, 117 / 255, 128 / 255)
_SPORTS_STD = (1 / 255, 1 / 255, 1 / 255)
_CHANNELS = (64, 128, 256, 512, 512)

FLAVOURS = {
    "16x112": C3DFlavour(ClipInput(16, 0.5, 112, _MEAN, _STD), _CHANNELS, 4096),
    "16x112-whole": C3DFlavour(ClipInput(16, None, 112, _MEAN, _STD), _CHANNELS, 4096),
    "16x112-sports1m": C3DFlavour(ClipInput(16, 0.5, 112, _SPORTS_MEAN, _SPORTS_STD), _CHANNELS, 4096),
    "debug": C3DFlavour(ClipInput(16, None, 32, _MEAN, _STD), (4, 8, 8, 16, 16), 32),
}
