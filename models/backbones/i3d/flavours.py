"""Sizes of I3D. As published: 8 frames, every 8th of 30 a second."""

from models.backbones.conventions import strided, whole
from models.backbones.sizes import ResNetFlavour

FLAVOURS = {
    "8x8": ResNetFlavour(strided(8, 8)),
    "8x112": ResNetFlavour(whole(8, 112)),
    "debug": ResNetFlavour(whole(4, 32), stem=2),
}
