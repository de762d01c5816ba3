"""I3D: a ResNet-50 inflated into time."""

from models.backbones.family import Family
from models.backbones.i3d.flavours import FLAVOURS
from models.backbones.i3d.model import I3D
from models.backbones.i3d.weights import WEIGHTS

FAMILY = Family(FLAVOURS, I3D, WEIGHTS)
