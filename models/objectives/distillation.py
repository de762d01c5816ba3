"""The champion's answers: learning without forgetting (Li and Hoiem 2017, arXiv:1606.09282).

Shapes: B clips, K classes of the model, A classes of the champion, C classes that both have.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from models.champion import Champion
from models.objectives.each_label import binary_divergence
from models.objectives.objective import Loss
from models.objectives.target import Target
from models.parts import Part
from models.spec import DistillationParams


class Distillation:
    """Divergence from what the champion says of the same inputs, among the classes that both know.

    Kullback-Leibler divergence of softened probabilities times the temperature's square, which keeps the size of its
    gradient whatever the temperature (Hinton et al. 2015, arXiv:1503.02531). Unlike in the original, a clip about which
    the champion is wrong counts nothing: where the world looks otherwise but has the same classes, its answers are what
    is to be unlearned (docs/decisions/0011-forgetting.md). Where clips may have several labels, each label is taught
    and judged on its own.

    Args:
        champion: The teacher, on the device of the model.
        labels: The model's, in the order of its classes.
        params: Weight and temperature.
    """

    def __init__(self, champion: Champion, labels: Sequence[str], params: DistillationParams) -> None:
        device = next(champion.model.parameters()).device
        shared = [label for label in labels if label in champion.labels]
        index_of = {label: index for index, label in enumerate(champion.labels)}
        self._ours_C = torch.tensor([list(labels).index(label) for label in shared], device=device)
        self._theirs_C = torch.tensor([index_of[label] for label in shared], device=device)
        self._theirs_K = torch.tensor([index_of.get(label, -1) for label in labels], device=device)
        self._teacher = champion.model
        self._temperature = params.temperature
        self._scale = params.weight * params.temperature**2

    def on(self, part: Part) -> Loss:
        """The divergence, the teacher's part running beside."""
        teacher = part.module(self._teacher)

        def divergence(logits_BK: Tensor, target: Target, inputs: Tensor) -> Tensor:
            if target.several:
                with torch.no_grad():
                    answer_BA = teacher(inputs).float()
                return self._scale * self._each_label(logits_BK, target, answer_BA)
            with torch.no_grad():
                taught_B = self._theirs_K[target.label_B]
                answer_BA = teacher(inputs).float()
                counts_B = (answer_BA.argmax(1) == taught_B) | (taught_B < 0)
                wanted_BC = (answer_BA.index_select(1, self._theirs_C) / self._temperature).log_softmax(1)
            said_BC = (logits_BK.index_select(1, self._ours_C) / self._temperature).log_softmax(1)
            divergence_B = F.kl_div(said_BC, wanted_BC, reduction="none", log_target=True).sum(1)
            loss: Tensor = self._scale * (counts_B * divergence_B).mean()
            return loss

        return divergence

    def _each_label(self, logits_BK: Tensor, target: Target, answer_BA: Tensor) -> Tensor:
        answer_BC = answer_BA.index_select(1, self._theirs_C)
        wanted_BC = target.dense(logits_BK.shape[1]).index_select(1, self._ours_C)
        counts_BC = (answer_BC > 0) == (wanted_BC > 0.5)
        said_BC = logits_BK.index_select(1, self._ours_C)
        divergence_BC = binary_divergence(said_BC / self._temperature, answer_BC / self._temperature)
        return (counts_BC * divergence_BC).sum(1).mean()
