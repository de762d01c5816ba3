"""Right answers, each class on its own: yes or no.

Shapes: B clips, K classes.
"""

from torch import Tensor
from torch.nn import functional as F

from models.objectives.class_balance import mean_over_clips
from models.objectives.objective import Loss
from models.objectives.target import Target
from models.parts import Part


class Binary:
    """Binary cross entropy, summed over the classes.

    Smoothing moves both answers towards one half, as cross entropy over two classes does.

    Args:
        label_smoothing: Share of each answer that is spread over yes and no.
        weight_K: What a clip of each class counts; default: all the same.
    """

    def __init__(self, label_smoothing: float, weight_K: Tensor | None = None) -> None:
        self._label_smoothing = label_smoothing
        self._weight_K = weight_K

    def on(self, part: Part) -> Loss:  # noqa: ARG002 - the same for every part
        """The binary cross entropy."""
        return self._loss

    def _loss(self, logits_BK: Tensor, target: Target, _: Tensor) -> Tensor:
        wanted_BK = yes_or_no(target, logits_BK.shape[1], self._label_smoothing)
        loss_B = F.binary_cross_entropy_with_logits(logits_BK, wanted_BK, reduction="none").sum(1)
        return mean_over_clips(loss_B, target, self._weight_K)


def yes_or_no(target: Target, num_classes: int, label_smoothing: float) -> Tensor:
    """What each clip should answer about each class, a share of it spread over yes and no, shape (B, K)."""
    return target.dense(num_classes) * (1.0 - label_smoothing) + label_smoothing / 2
