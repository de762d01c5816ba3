"""AIM (Yang et al. 2023, arXiv:2302.03024): a transformer learns to see video through small perceptrons.

In each block one comes after attention, and one goes beside the block's own perceptron. Where blocks see frames one by
one, their attention is used once more, over time, and a third perceptron takes what it says. Where attention looks
along time already, it stays at two. Where the block's perceptron is no module of its own, the second comes after it.

Shapes: B clips, T steps, N frames of all clips, L tokens of a frame, D features.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.adapters.sites import Blocks

_BESIDE = 0.5
"""What the perceptron beside the block's own counts, as in the paper."""


class Perceptron(nn.Module):
    """Down and up; it says nothing before it is trained.

    Args:
        features: Size of its input.
        outputs: Size of its output.
        inner: Size on the way.
    """

    def __init__(self, features: int, outputs: int, inner: int) -> None:
        super().__init__()
        self.down = nn.Linear(features, inner)
        self.up = nn.Linear(inner, outputs)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, tokens_NLD: Tensor) -> Tensor:
        """What is added."""
        change_NLD: Tensor = self.up(F.gelu(self.down(tokens_NLD)))
        return change_NLD


class AIM(nn.ModuleDict):
    """The perceptrons of one block, at work once :meth:`put_on` was called.

    Args:
        block: A transformer block.
        blocks: What it is made of.
        width: Of each perceptron, as a share of its input.
        num_steps: Size of T.
    """

    def __init__(self, block: nn.Module, blocks: Blocks, width: float, num_steps: int) -> None:
        features = _num_outputs(block.get_submodule(blocks.norm))
        outputs = _num_outputs(block.get_submodule(blocks.mlp))
        inner = max(round(width * features), 1)
        of_mlp = features if blocks.mlp_is_whole else outputs
        parts = {"space": Perceptron(features, features, inner), "both": Perceptron(of_mlp, outputs, inner)}
        if blocks.order == "frames":
            parts["time"] = Perceptron(features, features, inner)
        super().__init__(parts)
        self._blocks = blocks
        self._num_steps = num_steps

    def put_on(self, block: nn.Module) -> None:
        """Let the block use them."""
        block.get_submodule(self._blocks.attention).register_forward_hook(_After(self["space"]))
        beside = _Beside if self._blocks.mlp_is_whole else _After
        block.get_submodule(self._blocks.mlp).register_forward_hook(beside(self["both"]))
        if "time" in self:
            block.register_forward_pre_hook(_OverTime(self["time"], self._blocks, self._num_steps))


class _After:
    def __init__(self, perceptron: nn.Module) -> None:
        self._perceptron = perceptron

    def __call__(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return output + self._perceptron(output)
        first, *others = output  # attention may say more than its answer
        return first + self._perceptron(first), *others


class _Beside:
    def __init__(self, perceptron: nn.Module) -> None:
        self._perceptron = perceptron

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        changed: Tensor = output + _BESIDE * self._perceptron(inputs[0])
        return changed


class _OverTime:
    def __init__(self, perceptron: nn.Module, blocks: Blocks, num_steps: int) -> None:
        self._perceptron = perceptron
        self._blocks = blocks
        self._num_steps = num_steps

    def __call__(self, block: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (tokens_NLD,) = inputs
        series_BLTD = self._blocks.by_step(tokens_NLD, self._num_steps).transpose(1, 2)
        norm, attention = block.get_submodule(self._blocks.norm), block.get_submodule(self._blocks.attention)
        # Not by calling the module: what comes after attention over space is not meant.
        mixed_MTD = attention.forward(norm(series_BLTD.flatten(0, 1)))
        change_BLTD = torch.unflatten(self._perceptron(mixed_MTD), 0, series_BLTD.shape[:2])
        return (tokens_NLD + self._blocks.as_tokens(change_BLTD.transpose(1, 2)),)


def _num_outputs(module: nn.Module) -> int:
    if isinstance(module, nn.LayerNorm):
        return int(module.normalized_shape[0])
    return [layer.out_features for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
