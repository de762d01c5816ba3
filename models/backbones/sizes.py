"""Sizes that several families come in."""

from dataclasses import dataclass

from models.clips.sampling import ClipInput


@dataclass(frozen=True)
class ResNetFlavour:
    """A residual network of one depth and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation.
        stem: Channels of the first convolution; features are 32 times as many.
    """

    clip_input: ClipInput
    stem: int = 64


@dataclass(frozen=True)
class TransformerFlavour:
    """A transformer whose blocks are all as wide, and what it takes.

    Attributes:
        clip_input: Frames, span, size, normalisation. The size is a multiple of ``patch``; frames are even where
            patches are two frames deep.
        width: Features of a token; the inner layer of each block has four times as many.
        num_blocks: Blocks of attention, one or two, and two-layer perceptron.
        num_heads: Of each attention; they share the width.
        patch: Side of a patch, in pixels.
    """

    clip_input: ClipInput
    width: int = 768
    num_blocks: int = 12
    num_heads: int = 12
    patch: int = 16
