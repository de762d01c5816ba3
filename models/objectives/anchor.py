"""Weights near the champion's: elastic weight consolidation, and L2-SP where all weights count the same."""

from collections.abc import Callable, Mapping

from torch import Tensor

from models.build import VideoModel
from models.objectives.objective import Loss
from models.objectives.target import Target
from models.parts import Part

Importance = Callable[[Part], Mapping[str, Tensor]]
"""What the squared distance of each weight of a part counts, under the model's names; absent weights are free."""


class Anchor:
    """Half the weighted squared distance of the weights from where the champion had them.

    EWC (Kirkpatrick et al. 2017, arXiv:1612.00796, equation 3) with the Fisher information as importance; L2-SP (Li et
    al. 2018, arXiv:1802.01483, equation 1) with ones.

    Args:
        model: What is trained.
        anchor: Weights to stay near, under the model's names.
        importance: See :data:`Importance`; asked once for each part that is trained.
        weight: Of the whole.
    """

    def __init__(self, model: VideoModel, anchor: Mapping[str, Tensor], importance: Importance, weight: float) -> None:
        self._model = model
        self._anchor = anchor
        self._importance = importance
        self._weight = weight

    def on(self, part: Part) -> Loss:
        """The distance of the part's weights."""
        weights = dict(self._model.named_parameters())
        terms = [(weights[name], self._anchor[name], counts) for name, counts in self._importance(part).items()]

        def loss(logits_BK: Tensor, _target: Target, _inputs: Tensor) -> Tensor:
            distance = logits_BK.new_zeros(())
            for now, before, counts in terms:
                distance = distance + (counts * (now - before).square()).sum()
            return 0.5 * self._weight * distance

        return loss
