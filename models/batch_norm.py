"""Batch normalisation by the clips of all processes, so that dividing a batch does not change what it is normalised by.

It works over any backend of ``torch.distributed``, gloo on CPUs included, where torch's own knows GPUs alone and counts
every process the same. Layers keep their place and the names of their weights: they change their class for a while, as
with LoRA.

Shapes: P processes, C channels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.modules.batchnorm import _BatchNorm

from models.processes import Group


@contextmanager
def batch_norm_together(module: nn.Module, group: Group, *, compiled: bool = False) -> Iterator[None]:
    """While this lasts, batch normalisations that train see the clips of all processes.

    As in MegDet (Peng et al. 2018, arXiv:1711.07240), but a process counts as much as it has clips. All
    processes pass such layers equally often, one without clips with a clip that counts nothing
    (:class:`models.step.Step`).

    Args:
        module: Whose layers are meant.
        group: The processes; where this one is alone nothing happens.
        compiled: Whether ``module`` is going to be; these layers are left out of that.
    """
    layers: list[Any] = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    if group.share.of == 1:
        layers = []
    for layer in layers:
        layer.__class__ = _together_class(layer.__class__, compiled)
        layer.group = group
    try:
        yield
    finally:
        for layer in layers:
            del layer.group
            layer.__class__ = type(layer).__bases__[1]


def normalises_together(module: nn.Module) -> bool:
    """Whether a pass through ``module`` as it is now needs the other processes."""
    return any(isinstance(each, _Together) and each.training for each in module.modules())


class _Together:
    """Marks the classes that :func:`_together_class` makes."""

    group: Group

    def forward(self: Any, maps: Tensor) -> Tensor:
        if not self.training:
            return super().forward(maps)  # type: ignore[misc,no-any-return]
        self._check_input_dim(maps)
        weight_C = maps.new_ones(maps.shape[1]) if self.weight is None else self.weight
        bias_C = maps.new_zeros(maps.shape[1]) if self.bias is None else self.bias
        normalised: Tensor
        normalised, mean_C, variance_C, count = _normalise(maps, weight_C, bias_C, self.eps, self.group)
        if self.track_running_stats:
            self.num_batches_tracked.add_(1)
            momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean_C, momentum)
            self.running_var.lerp_(variance_C * count / (count - 1.0).clamp(min=1.0), momentum)
        return normalised


@cache
def _together_class(base: Any, compiled: bool) -> Any:
    # Only then, because the compiler takes seconds to import.
    disable: Any = torch.compiler.disable
    own = {"forward": disable(_Together.forward)} if compiled else {}
    return type(f"Together{base.__name__}", (_Together, base), own)


class _Normalise(Function):
    """Exchanges counts, means and variances on the way there, and two sums of gradients on the way back.

    A process's gradients are those of the mean over its own clips (:meth:`models.processes.Group.average_gradients`):
    they are weighted by its clips to be summed, and the sum is divided by them.
    """

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight_C: Tensor, bias_C: Tensor, eps: float, group: Group
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        variance_C, mean_C = torch.var_mean(maps.float(), _but_channels(maps), correction=0)
        num_values = maps.numel() // maps.shape[1] if group.num_clips else 0
        everyones_PX = group.stacked(torch.cat([mean_C.new_tensor([num_values]), mean_C, variance_C]))
        count_P1, mean_PC, variance_PC = torch.split(everyones_PX, [1, len(mean_C), len(mean_C)], 1)
        count = count_P1.sum()
        share_P1 = count_P1 / count.clamp(min=1.0)
        mean_C = (share_P1 * mean_PC).sum(0)
        variance_C = (share_P1 * (variance_PC + (mean_PC - mean_C).square())).sum(0)
        deviation_C = torch.rsqrt(variance_C + eps)
        ctx.save_for_backward(maps, weight_C, mean_C, deviation_C, count)
        ctx.group, ctx.num_clips = group, group.num_clips
        scale_C = weight_C * deviation_C
        normalised = maps * _along(maps, scale_C) + _along(maps, bias_C - mean_C * scale_C)
        ctx.mark_non_differentiable(mean_C, variance_C, count)
        return normalised.to(maps.dtype), mean_C, variance_C, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight_C, mean_C, deviation_C, count = ctx.saved_tensors
        gradient = gradient.float()
        normalised = (maps.float() - _along(maps, mean_C)) * _along(maps, deviation_C)
        over_bias_C = gradient.sum(_but_channels(maps))
        over_weight_C = (gradient * normalised).sum(_but_channels(maps))
        everyones_X = ctx.group.summed(ctx.num_clips * torch.cat([over_bias_C, over_weight_C]))
        # What stands in is part of no mean, and so nothing comes back to it through one.
        part = 1.0 / ctx.num_clips if ctx.num_clips else 0.0
        mean_bias_C, mean_weight_C = (everyones_X * part / count.clamp(min=1.0)).chunk(2)
        centred = gradient - _along(maps, mean_bias_C) - normalised * _along(maps, mean_weight_C)
        over_maps = (centred * _along(maps, weight_C * deviation_C)).to(maps.dtype)
        return over_maps, over_weight_C, over_bias_C, None, None


_normalise: Any = _Normalise.apply  # without types


def _but_channels(maps: Tensor) -> list[int]:
    return [0, *range(2, maps.ndim)]


def _along(maps: Tensor, values_C: Tensor) -> Tensor:
    return values_C.view(1, -1, *(1,) * (maps.ndim - 2))
