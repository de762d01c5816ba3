"""What pytorchvideo trained on Kinetics-400, at 30 frames a second, and a ResNet-50 of ImageNet."""

from models.backbones.inflation import IMAGENET_R50, resnet_inflated
from models.backbones.published import KINETICS_ZOO, Published, renaming

_CLASSIFIER = ["blocks.6.proj.weight", "blocks.6.proj.bias"]
_KINETICS = Published(f"{KINETICS_ZOO}/C2D_8x8_R50.pyth", renaming(ignored=_CLASSIFIER))
# The second block is a pooling along time.
_IMAGENET = Published(**IMAGENET_R50, convert=resnet_inflated(stages=(1, 3, 4, 5)))

WEIGHTS = {
    "kinetics400": {"8x8": _KINETICS, "8x112": _KINETICS},
    "imagenet": {"8x8": _IMAGENET, "8x112": _IMAGENET},
}
