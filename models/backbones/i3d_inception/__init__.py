"""I3D as in its paper: an Inception-v1 inflated into time."""

from models.backbones.family import Family
from models.backbones.i3d_inception.flavours import FLAVOURS
from models.backbones.i3d_inception.model import I3DInception
from models.backbones.i3d_inception.weights import WEIGHTS

FAMILY = Family(FLAVOURS, I3DInception, WEIGHTS)
