"""Sizes of TimeSformer. As published: 8 frames, every 32nd of 30 a second."""

from models.backbones.conventions import strided, whole
from models.backbones.sizes import TransformerFlavour

FLAVOURS = {
    "base-8x32": TransformerFlavour(strided(8, 32)),
    "base-8x112": TransformerFlavour(whole(8, 112)),
    "debug": TransformerFlavour(whole(4, 32), width=32, num_blocks=2, num_heads=2, patch=8),
}
