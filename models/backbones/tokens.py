"""Features from the tokens of a transformer over a whole clip.

Shapes: B clips, T steps, D features.
"""

import torch
from torch import Tensor


def beside_class_token(class_BD: Tensor, steps_BTD: Tensor) -> Tensor:
    """``features_BTD`` with twice the D: the class token, the same at each step, and then the step's own mean.

    A published classifier reads the class token and a head over time reads the steps: each finds what it needs.
    """
    return torch.cat([class_BD[:, None].expand_as(steps_BTD), steps_BTD], 2)
