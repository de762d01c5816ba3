"""What pytorchvideo trained on Kinetics-400, at 30 frames a second."""

from models.backbones.published import KINETICS_ZOO, Published, renaming

_CONVERT = renaming(ignored=["blocks.6.proj.weight", "blocks.6.proj.bias"])
_FILES = {
    "r50-4x16": "SLOWFAST_4x16_R50.pyth",
    "r50-8x8": "SLOWFAST_8x8_R50.pyth",
    "r101-8x8": "SLOWFAST_8x8_R101.pyth",
    "r101-16x8": "SLOWFAST_16x8_R101_50_50.pyth",
    "16x112": "SLOWFAST_8x8_R50.pyth",
}

WEIGHTS = {"kinetics400": {flavour: Published(f"{KINETICS_ZOO}/{file}", _CONVERT) for flavour, file in _FILES.items()}}
