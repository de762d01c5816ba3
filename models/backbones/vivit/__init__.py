"""ViViT: attention over all patches of space and time at once."""

from models.backbones.family import Family
from models.backbones.hugging_face import PACKAGE
from models.backbones.vivit.flavours import FLAVOURS
from models.backbones.vivit.model import ViViT
from models.backbones.vivit.weights import WEIGHTS

FAMILY = Family(FLAVOURS, ViViT, WEIGHTS, PACKAGE)
