"""Sizes of EfficientNet-Lite0. Frames are spread over the whole clip."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput

_MEAN = (127 / 255, 127 / 255, 127 / 255)
_STD = (128 / 255, 128 / 255, 128 / 255)


@dataclass(frozen=True)
class Stage:
    """Blocks of one width.

    Attributes:
        repeats: Number of blocks; the first one changes width and stride.
        kernel: Side of the depthwise convolution.
        stride: Of the first block.
        expansion: Inner width as a multiple of the input's.
        channels: Output channels.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


@dataclass(frozen=True)
class EfficientNetFlavour:
    """An EfficientNet-Lite and what it takes.

    Attributes:
        clip_input: Frames, size, normalisation.
        stem: Channels of the first convolution.
        stages: From the input on.
        num_features: Channels of the last convolution.
    """

    clip_input: ClipInput
    stem: int
    stages: tuple[Stage, ...]
    num_features: int


_LITE0 = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
_DEBUG = (Stage(1, 3, 1, 1, 8), Stage(2, 5, 2, 2, 12))


def _lite0(num_frames: int, size: int) -> EfficientNetFlavour:
    return EfficientNetFlavour(ClipInput(num_frames, None, size, _MEAN, _STD), 32, _LITE0, 1280)


FLAVOURS = {
    "8x112": _lite0(8, 112),
    "16x112": _lite0(16, 112),
    "8x160": _lite0(8, 160),
    "8x224": _lite0(8, 224),
    "debug": EfficientNetFlavour(ClipInput(4, None, 32, _MEAN, _STD), 8, _DEBUG, 24),
}
