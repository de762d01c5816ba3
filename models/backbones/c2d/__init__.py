"""C2D: a ResNet-50 over frames that meets time in its poolings alone."""

from models.backbones.c2d.flavours import FLAVOURS
from models.backbones.c2d.model import C2D
from models.backbones.c2d.weights import WEIGHTS
from models.backbones.family import Family

FAMILY = Family(FLAVOURS, C2D, WEIGHTS)
