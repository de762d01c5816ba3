"""C3D: plain 3D convolutions and two large fully connected layers."""

from models.backbones.c3d.flavours import FLAVOURS
from models.backbones.c3d.model import C3D
from models.backbones.c3d.weights import WEIGHTS
from models.backbones.family import Family

FAMILY = Family(FLAVOURS, C3D, WEIGHTS)
