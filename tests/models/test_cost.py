import torch
from torch import nn

from models.build import build_model
from models.cost import multiply_adds
from tests.support.champions import MODEL


def test_the_cost_is_that_of_convolutions_and_matrices() -> None:
    model = build_model(MODEL, 2, seed=0).eval()
    counted = 0

    def count(module: nn.Module, _: object, result: torch.Tensor) -> None:
        nonlocal counted
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            counted += module.weight[0].numel() * (
                result.numel() if isinstance(module, nn.Linear) else result[:, 0].numel() * module.out_channels
            )

    for module in model.modules():
        module.register_forward_hook(count)
    assert multiply_adds(model) == counted
