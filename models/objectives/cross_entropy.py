"""Right answers.

Shapes: B clips, K classes.
"""

from torch import Tensor
from torch.nn import functional as F

from models.objectives.class_balance import mean_over_clips
from models.objectives.objective import Loss
from models.objectives.target import Target
from models.parts import Part


class CrossEntropy:
    """Cross entropy with the labels, smoothed (Szegedy et al. 2016, arXiv:1512.00567).

    Args:
        label_smoothing: Share of each answer that is spread over all classes.
        weight_K: What a clip of each class counts; default: all the same.
    """

    def __init__(self, label_smoothing: float, weight_K: Tensor | None = None) -> None:
        self._label_smoothing = label_smoothing
        self._weight_K = weight_K

    def on(self, part: Part) -> Loss:  # noqa: ARG002 - the same for every part
        """The cross entropy."""
        return self._loss

    def _loss(self, logits_BK: Tensor, target: Target, _: Tensor) -> Tensor:
        wanted = target.label_B if target.share_BK is None else target.share_BK
        if self._weight_K is None:
            return F.cross_entropy(logits_BK, wanted, label_smoothing=self._label_smoothing)
        loss_B = F.cross_entropy(logits_BK, wanted, label_smoothing=self._label_smoothing, reduction="none")
        return mean_over_clips(loss_B, target, self._weight_K)
