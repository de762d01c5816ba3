"""R(2+1)D: each 3D convolution as one over space and one along time."""

from models.backbones.family import Family
from models.backbones.r2plus1d.flavours import FLAVOURS
from models.backbones.r2plus1d.model import R2Plus1D
from models.backbones.r2plus1d.weights import WEIGHTS

FAMILY = Family(FLAVOURS, R2Plus1D, WEIGHTS)
