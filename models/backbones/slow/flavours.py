"""Sizes of Slow. As published: so many frames at a stride, of video with 30 frames a second."""

from models.backbones.conventions import strided, whole
from models.backbones.sizes import ResNetFlavour

FLAVOURS = {
    "8x8": ResNetFlavour(strided(8, 8)),
    "4x16": ResNetFlavour(strided(4, 16)),
    "8x112": ResNetFlavour(whole(8, 112)),
    "debug": ResNetFlavour(whole(4, 32), stem=2),
}
