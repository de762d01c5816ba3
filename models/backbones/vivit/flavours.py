"""Sizes of ViViT. As published: 32 frames, every 2nd of 30 a second."""

from models.backbones.conventions import SYMMETRIC, strided, whole
from models.backbones.sizes import TransformerFlavour

FLAVOURS = {
    "base-32x2": TransformerFlavour(strided(32, 2, normalised=SYMMETRIC)),
    "base-8x112": TransformerFlavour(whole(8, 112, SYMMETRIC)),
    "debug": TransformerFlavour(whole(4, 32, SYMMETRIC), width=32, num_blocks=2, num_heads=2, patch=8),
}
