"""EfficientNet-Lite0, frame by frame: the one family that ships with ImageNet weights."""

from models.backbones.efficientnet_lite0.flavours import FLAVOURS
from models.backbones.efficientnet_lite0.model import EfficientNetLite0
from models.backbones.efficientnet_lite0.weights import WEIGHTS
from models.backbones.family import Family

FAMILY = Family(FLAVOURS, EfficientNetLite0, WEIGHTS)
