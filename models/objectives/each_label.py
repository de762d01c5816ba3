"""Clips that have several labels, or none: each label is asked on its own, yes or no.

Shapes: B clips, K labels.
"""

from torch import Tensor
from torch.nn import functional as F

from models.objectives.binary import yes_or_no
from models.objectives.objective import Loss
from models.objectives.target import Target
from models.parts import Part


class EachLabel:
    """Binary cross entropy of each label, summed over the labels, focal where asked for.

    An answer that already has probability p counts ``(1 - p) ** gamma`` (Lin et al. 2017, arXiv:1708.02002, equation 4,
    which is about such answers). Smoothing moves both answers towards one half.

    Args:
        label_smoothing: Share of each answer that is spread over yes and no.
        gamma: How little easy answers count; 0 leaves the cross entropy.
        weight_K: What the answers about each label count; default: all the same. A clip without any label thus counts
            as much as any other.
    """

    def __init__(self, label_smoothing: float, *, gamma: float = 0.0, weight_K: Tensor | None = None) -> None:
        self._label_smoothing = label_smoothing
        self._gamma = gamma
        self._weight_K = weight_K

    def on(self, part: Part) -> Loss:  # noqa: ARG002 - the same for every part
        """The loss."""
        return self._loss

    def _loss(self, logits_BK: Tensor, target: Target, _: Tensor) -> Tensor:
        wanted_BK = yes_or_no(target, logits_BK.shape[1], self._label_smoothing)
        yes_BK, no_BK = F.logsigmoid(logits_BK), F.logsigmoid(-logits_BK)
        if self._gamma:
            # The probability of no is what is left of yes; at 0 a power below 1 would have no finite slope.
            yes_BK, no_BK = (
                yes_BK * no_BK.exp().clamp(min=1e-12).pow(self._gamma),
                no_BK * yes_BK.exp().clamp(min=1e-12).pow(self._gamma),
            )
        loss_BK = -(wanted_BK * yes_BK + (1.0 - wanted_BK) * no_BK)
        if self._weight_K is not None:
            loss_BK = loss_BK * self._weight_K
        return loss_BK.sum(1).mean()


def binary_divergence(said_BK: Tensor, wanted_BK: Tensor) -> Tensor:
    """Kullback-Leibler divergence of yes and no to each label from what was wanted, both as scores."""
    wanted = wanted_BK.sigmoid()
    yes_BK = F.logsigmoid(wanted_BK) - F.logsigmoid(said_BK)
    no_BK = F.logsigmoid(-wanted_BK) - F.logsigmoid(-said_BK)
    return wanted * yes_BK + (1.0 - wanted) * no_BK
