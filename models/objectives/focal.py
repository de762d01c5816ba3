"""Right answers, above all where the model is far from them.

Shapes: B clips, K classes.
"""

from torch import Tensor

from models.objectives.class_balance import mean_over_clips
from models.objectives.objective import Loss
from models.objectives.target import Target
from models.parts import Part


class Focal:
    """Cross entropy in which a class that already has probability p counts ``(1 - p) ** gamma``.

    Lin et al. 2017 (arXiv:1708.02002, equation 4), over softmax probabilities. ``gamma`` 0 leaves the cross entropy.

    Args:
        gamma: How little easy clips count.
        label_smoothing: Share of each answer that is spread over all classes.
        weight_K: What a clip of each class counts; default: all the same.
    """

    def __init__(self, gamma: float, label_smoothing: float, weight_K: Tensor | None = None) -> None:
        self._gamma = gamma
        self._label_smoothing = label_smoothing
        self._weight_K = weight_K

    def on(self, part: Part) -> Loss:  # noqa: ARG002 - the same for every part
        """The focal loss."""
        return self._loss

    def _loss(self, logits_BK: Tensor, target: Target, _: Tensor) -> Tensor:
        num_classes = logits_BK.shape[1]
        wanted_BK = target.dense(num_classes)
        wanted_BK = wanted_BK * (1.0 - self._label_smoothing) + self._label_smoothing / num_classes
        log_p_BK = logits_BK.log_softmax(1)
        # expm1 keeps the digits of 1 - p near p = 1; at 0 a power below 1 would have no finite slope.
        rest_BK = (-log_p_BK.expm1()).clamp(min=1e-12)
        loss_B = -(wanted_BK * rest_BK.pow(self._gamma) * log_p_BK).sum(1)
        return mean_over_clips(loss_B, target, self._weight_K)
