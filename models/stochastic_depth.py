"""Networks that are shallower by chance while they train, and themselves otherwise.

Shapes: B clips, N rows of a branch's result: B, or B times frames or places.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from models.backbones.family import Backbone
from models.errors import UserError

_BRANCHES = {
    "ResBlock": ("branch2",),
    "MultiScaleBlock": ("drop_path",),
    "TimesformerLayer": ("drop_path",),
    "VideoMAELayer": ("attention", "output.dropout"),
    "VivitLayer": ("dropout",),
}
"""Where the branches of other packages' blocks end, by class. One module may end several branches of a block;
each of its passes is drawn for itself."""


@contextmanager
def stochastic_depth(backbone: Backbone, rate: float) -> Iterator[None]:
    """While this lasts, training passes leave out residual branches at random (Huang et al. 2016, arXiv:1603.09382).

    The l-th of L branches is left out of a clip with the probability ``rate * l / L``, the paper's linear rule. What
    stays is divided by the probability of staying, so that evaluation needs no factor and passes as if this were not
    there. A clip keeps or loses a branch as a whole, all its frames alike.

    Args:
        backbone: It is given hooks from outside, which are taken away again; its weights and their names stay.
        rate: Of the last branch; 0 does nothing.

    Raises:
        UserError: The network has no residual branches.
    """
    branches = residual_branches(backbone) if rate else []
    if rate and not branches:
        raise UserError(
            f"params.yaml: fine_tune.stochastic_depth: {type(backbone).__name__} has no residual branches; set it to 0"
        )
    dropper = _Dropper()
    hooks = [backbone.register_forward_pre_hook(dropper.see_clips)] if branches else []
    for number, branch in enumerate(branches, 1):
        hooks.append(branch.register_forward_hook(dropper.hook(rate * number / len(branches))))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def residual_branches(backbone: nn.Module) -> list[nn.Module]:
    """The modules whose result is added to a shortcut, from input to output.

    A block of ours names its own in ``residual_branches``.
    """
    found: list[nn.Module] = []
    for module in backbone.modules():
        names = _BRANCHES.get(type(module).__name__, getattr(module, "residual_branches", ()))
        found += [module.get_submodule(name) for name in names]
    return found


class _Dropper:
    """Hooks of one backbone. Like dropout they draw from torch's generator, whose state is in the checkpoint."""

    def __init__(self) -> None:
        self._num_clips = 1

    def see_clips(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._num_clips = len(inputs[0])

    def hook(self, rate: float) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
        def drop(branch: nn.Module, _: Any, result: Tensor) -> Tensor | None:
            return result * self._factors(result, rate) if branch.training else None

        return drop

    def _factors(self, result: Tensor, rate: float) -> Tensor:
        """What each row is multiplied by; rows of one clip follow each other."""
        kept_B = torch.rand(self._num_clips, device=result.device) >= rate
        factor_B = kept_B.to(result.dtype) / (1.0 - rate)
        factor_N = factor_B.repeat_interleave(len(result) // self._num_clips)
        return factor_N.view(-1, *(1,) * (result.dim() - 1))
