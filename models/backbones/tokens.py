"""Backbones whose tokens are patches, and features from tokens.

Shapes: B clips, C channels, T frames or steps, H height, W width, S patches of a step, D features.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from models.backbones.family import Backbone


class PatchBackbone(Backbone):
    """A backbone that can leave patches out: what it does not see costs nothing, and can be asked for.

    Attributes:
        width: Features of a token.
        tubelet: Frames of a patch.
        patch: Side of a patch, in pixels.
    """

    width: int
    tubelet: int
    patch: int

    @abstractmethod
    def embed(self, clip_BCTHW: Tensor) -> Tensor:
        """``patches_BTSD``: a token a patch that knows its place, row by row."""

    @abstractmethod
    def encode(self, patches_BTSD: Tensor) -> Tensor:
        """What the blocks make of these patches, which may be some of those that :meth:`embed` gives."""


def beside_class_token(class_BD: Tensor, steps_BTD: Tensor) -> Tensor:
    """``features_BTD`` with twice the D: the class token, the same at each step, and then the step's own mean.

    A published classifier reads the class token and a head over time reads the steps: each finds what it needs.
    """
    return torch.cat([class_BD[:, None].expand_as(steps_BTD), steps_BTD], 2)
