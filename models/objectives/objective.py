"""What every objective offers.

Shapes: B clips, K classes.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from models.objectives.target import Target
from models.parts import Part

Loss = Callable[[Tensor, Target, Tensor], Tensor]
"""From ``logits_BK`` in float32, the right answers and the trained part's inputs to a number."""


class Objective(Protocol):
    """Something that training makes small."""

    def on(self, part: Part) -> Loss:
        """The loss of training ``part``; asked for once, when that begins."""


class Total:
    """The sum of objectives."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._objectives = list(objectives)

    def on(self, part: Part) -> Loss:
        """The sum of their losses."""
        losses = [objective.on(part) for objective in self._objectives]

        def loss(logits_BK: Tensor, target: Target, inputs: Tensor) -> Tensor:
            first, *others = (each(logits_BK, target, inputs) for each in losses)
            return sum(others, start=first)

        return loss
