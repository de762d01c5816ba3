"""X3D: small 3D networks, expanded step by step from a 2D one."""

from models.backbones.family import Family
from models.backbones.x3d.flavours import FLAVOURS
from models.backbones.x3d.model import X3D
from models.backbones.x3d.weights import WEIGHTS

FAMILY = Family(FLAVOURS, X3D, WEIGHTS)
