"""What pytorchvideo trained on Kinetics-400, at 30 frames a second, and a ResNet-50 of ImageNet, inflated."""

from models.backbones.inflation import IMAGENET_R50, resnet_inflated
from models.backbones.published import KINETICS_ZOO, Published, renaming

_CONVERT = renaming(ignored=["blocks.5.proj.weight", "blocks.5.proj.bias"])
_8X8 = Published(f"{KINETICS_ZOO}/SLOW_8x8_R50.pyth", _CONVERT)
_4X16 = Published(f"{KINETICS_ZOO}/SLOW_4x16_R50.pyth", _CONVERT)
_IMAGENET = Published(**IMAGENET_R50, convert=resnet_inflated(stages=(1, 2, 3, 4)))

WEIGHTS = {
    "kinetics400": {"8x8": _8X8, "4x16": _4X16, "8x112": _8X8},
    "imagenet": dict.fromkeys(("8x8", "4x16", "8x112"), _IMAGENET),
}
