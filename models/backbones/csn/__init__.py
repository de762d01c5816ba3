"""CSN: 3D convolutions within channels, 1x1x1 convolutions between them."""

from models.backbones.csn.flavours import FLAVOURS
from models.backbones.csn.model import CSN
from models.backbones.csn.weights import WEIGHTS
from models.backbones.family import Family

FAMILY = Family(FLAVOURS, CSN, WEIGHTS)
