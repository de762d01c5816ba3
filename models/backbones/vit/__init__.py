"""ViT, frame by frame: patches of an image as the tokens of a transformer."""

from models.backbones.family import Family
from models.backbones.vit.flavours import FLAVOURS
from models.backbones.vit.model import ViT
from models.backbones.vit.weights import WEIGHTS

FAMILY = Family(FLAVOURS, ViT, WEIGHTS)
