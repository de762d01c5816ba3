"""What a clip of a frequent class counts beside one of a rare class.

Shapes: B clips, K classes.
"""

import torch
from torch import Tensor

from models.objectives.target import Target


def class_weights(count_K: Tensor, beta: float) -> Tensor:
    """Weights in inverse proportion to the effective number of clips (Cui et al. 2019, arXiv:1901.05555).

    The effective number of n clips is ``(1 - beta**n) / (1 - beta)``: 1 for ``beta`` 0, n as ``beta`` goes to 1.

    Args:
        count_K: Training clips of each class.
        beta: 0 to 1.

    Returns:
        ``weight_K`` in float32, with a mean of 1 over the classes that have clips; 0 for the others.
    """
    count_K = count_K.double()
    effective_K = count_K if beta == 1.0 else (1.0 - beta**count_K) / (1.0 - beta)
    weight_K = torch.where(count_K > 0, 1.0 / effective_K.clamp(min=1e-12), 0.0)
    return (weight_K * (count_K > 0).sum() / weight_K.sum()).float()


def mean_over_clips(loss_B: Tensor, target: Target, weight_K: Tensor | None) -> Tensor:
    """The mean loss, where a clip counts what its class does, and a mixed clip what its classes do by their shares."""
    if weight_K is None:
        return loss_B.mean()
    weight_B = weight_K[target.label_B] if target.share_BK is None else target.share_BK @ weight_K
    return (weight_B * loss_B).mean()
