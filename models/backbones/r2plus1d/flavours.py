"""Sizes of R(2+1)D. As published: 16 frames, every 4th of 30 a second."""

from models.backbones.conventions import strided, whole
from models.backbones.sizes import ResNetFlavour

FLAVOURS = {
    "16x4": ResNetFlavour(strided(16, 4)),
    "8x112": ResNetFlavour(whole(8, 112)),
    "debug": ResNetFlavour(whole(8, 32), stem=2),
}
