"""MViT: attention over space and time whose resolution falls and whose width grows."""

from models.backbones.family import Family
from models.backbones.mvit.flavours import FLAVOURS
from models.backbones.mvit.model import MViT
from models.backbones.mvit.weights import WEIGHTS

FAMILY = Family(FLAVOURS, MViT, WEIGHTS)
