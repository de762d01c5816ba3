"""SlowFast: few frames through a wide network, many through a narrow one that feeds it."""

from models.backbones.family import Family
from models.backbones.slowfast.flavours import FLAVOURS
from models.backbones.slowfast.model import SlowFast
from models.backbones.slowfast.weights import WEIGHTS

FAMILY = Family(FLAVOURS, SlowFast, WEIGHTS)
