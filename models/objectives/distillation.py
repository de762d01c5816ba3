"""The champion's answers: learning without forgetting (Li and Hoiem 2017, arXiv:1606.09282).

Shapes: B clips, K classes of the model, C classes that it shares with the champion.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from models.champion import Champion
from models.objectives.objective import Loss
from models.parts import Part
from models.spec import DistillationParams


class Distillation:
    """Divergence from what the champion says of the same inputs, among the classes that both know.

    Kullback-Leibler divergence of softened probabilities times the temperature's square, which keeps the size of its
    gradient whatever the temperature (Hinton et al. 2015, arXiv:1503.02531).

    Args:
        champion: The teacher, on the device of the model.
        labels: The model's, in the order of its classes.
        params: Weight and temperature.
    """

    def __init__(self, champion: Champion, labels: Sequence[str], params: DistillationParams) -> None:
        device = next(champion.model.parameters()).device
        shared = [label for label in labels if label in champion.labels]
        self._ours_C = torch.tensor([list(labels).index(label) for label in shared], device=device)
        self._theirs_C = torch.tensor([champion.labels.index(label) for label in shared], device=device)
        self._teacher = champion.model
        self._temperature = params.temperature
        self._scale = params.weight * params.temperature**2

    def on(self, part: Part) -> Loss:
        """The divergence, the teacher's part running beside."""
        teacher = part.module(self._teacher)

        def loss(logits_BK: Tensor, _: Tensor, inputs: Tensor) -> Tensor:
            with torch.no_grad():
                wanted_BC = teacher(inputs).float().index_select(1, self._theirs_C)
            said_BC = logits_BK.index_select(1, self._ours_C)
            return self._scale * F.kl_div(
                (said_BC / self._temperature).log_softmax(1),
                (wanted_BC / self._temperature).log_softmax(1),
                reduction="batchmean",
                log_target=True,
            )

        return loss
