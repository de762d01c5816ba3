import torch
from torch import Tensor
from torch.nn import functional as F

from models.objectives.cross_entropy import CrossEntropy
from models.objectives.objective import Loss, Total
from models.objectives.target import Target
from models.parts import HEAD, Part


class Constant:
    def __init__(self, value: float) -> None:
        self._value = value

    def on(self, part: Part) -> Loss:
        return lambda *_: torch.tensor(self._value)


def example() -> tuple[Tensor, Target, Tensor]:
    return torch.randn(4, 3), Target(torch.tensor([0, 1, 2, 0])), torch.zeros(4)


def test_a_total_is_the_sum() -> None:
    assert Total([Constant(1.0), Constant(2.5)]).on(HEAD)(*example()).item() == 3.5
    assert Total([Constant(1.0)]).on(HEAD)(*example()).item() == 1.0


def test_cross_entropy_is_torchs_to_the_bit() -> None:
    logits_BK, target, inputs = example()
    loss = CrossEntropy(0.1).on(HEAD)(logits_BK, target, inputs)
    assert torch.equal(loss, F.cross_entropy(logits_BK, target.label_B, label_smoothing=0.1))
