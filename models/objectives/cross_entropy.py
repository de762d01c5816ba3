"""Right answers."""

from torch import Tensor
from torch.nn import functional as F

from models.objectives.objective import Loss
from models.parts import Part


class CrossEntropy:
    """Cross entropy with the labels, smoothed (Szegedy et al. 2016, arXiv:1512.00567)."""

    def __init__(self, label_smoothing: float) -> None:
        self._label_smoothing = label_smoothing

    def on(self, part: Part) -> Loss:  # noqa: ARG002 - the same for every part
        """The cross entropy."""
        return self._loss

    def _loss(self, logits_BK: Tensor, label_B: Tensor, _: Tensor) -> Tensor:
        return F.cross_entropy(logits_BK, label_B, label_smoothing=self._label_smoothing)
