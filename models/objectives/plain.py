"""The loss by which epochs are compared, whatever training makes small.

Shapes: B clips, K classes.
"""

from torch import Tensor
from torch.nn import functional as F

from models.objectives.target import Target


def plain_loss(logits_BK: Tensor, target: Target) -> Tensor:
    """Mean cross entropy; where clips may have several labels, of each label on its own, summed over the labels."""
    if not target.several:
        return F.cross_entropy(logits_BK, target.label_B)
    wanted_BK = target.dense(logits_BK.shape[1])
    return F.binary_cross_entropy_with_logits(logits_BK, wanted_BK, reduction="none").sum(1).mean()
