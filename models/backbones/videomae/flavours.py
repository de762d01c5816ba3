"""Sizes of VideoMAE. As published: 16 frames, every 4th of 30 a second."""

from models.backbones.conventions import IMAGENET, strided, whole
from models.backbones.sizes import TransformerFlavour

_PUBLISHED = strided(16, 4, normalised=IMAGENET)

FLAVOURS = {
    "base-16x4": TransformerFlavour(_PUBLISHED),
    "small-16x4": TransformerFlavour(_PUBLISHED, width=384, num_heads=6),
    "base-8x112": TransformerFlavour(whole(8, 112, IMAGENET)),
    "small-8x112": TransformerFlavour(whole(8, 112, IMAGENET), width=384, num_heads=6),
    "debug": TransformerFlavour(whole(4, 32, IMAGENET), width=32, num_blocks=2, num_heads=2, patch=8),
}
