"""The convolution of :mod:`models.depthwise.kernels` as an operator that autograd and ``torch.compile`` know.

Shapes: B clips, C channels; T frames, H height, W width of the input; P, Q, R of the output; K, L, M size of the
kernel.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from models.depthwise import kernels


@torch.library.custom_op("videoloop::depthwise_conv3d", mutates_args=())
def depthwise_conv3d(
    input_BCTHW: Tensor, weight_C1KLM: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """Each channel convolved with its own kernel: ``input_BCTHW`` to ``output_BCPQR`` of the same precision.

    Args:
        input_BCTHW: On a GPU, best channels last; what lies otherwise is copied.
        weight_C1KLM: In any precision. M is 1 or 3.
        stride: Along time, height, width.
        padding: Zeros at both ends of time, height, width.
    """
    return kernels.convolved(input_BCTHW, weight_C1KLM, stride, padding)


@torch.library.custom_op("videoloop::depthwise_conv3d_input_gradient", mutates_args=())
def _input_gradient(
    gradient_BCPQR: Tensor, input_BCTHW: Tensor, weight_C1KLM: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    return kernels.input_gradient(gradient_BCPQR, input_BCTHW.shape, weight_C1KLM, stride, padding)


@torch.library.custom_op("videoloop::depthwise_conv3d_weight_gradient", mutates_args=())
def _weight_gradient(
    gradient_BCPQR: Tensor, input_BCTHW: Tensor, weight_C1KLM: Tensor, stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    found = kernels.weight_gradient(gradient_BCPQR, input_BCTHW, weight_C1KLM.shape, stride, padding)
    return found.to(weight_C1KLM.dtype).contiguous()


@depthwise_conv3d.register_fake
def _(input_BCTHW: Tensor, weight_C1KLM: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    shape = kernels.output_shape(input_BCTHW.shape, weight_C1KLM.shape, stride, padding)
    return torch.empty_like(input_BCTHW.new_empty(shape), memory_format=torch.channels_last_3d)


@_input_gradient.register_fake
def _(gradient_BCPQR: Tensor, input_BCTHW: Tensor, *_: Any) -> Tensor:
    like = gradient_BCPQR.new_empty(input_BCTHW.shape)
    return torch.empty_like(like, memory_format=torch.channels_last_3d)


@_weight_gradient.register_fake
def _(_gradient: Tensor, _input: Tensor, weight_C1KLM: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(weight_C1KLM, memory_format=torch.contiguous_format)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 - named by autograd
    input_BCTHW, weight_C1KLM, ctx.stride, ctx.padding = inputs
    ctx.save_for_backward(input_BCTHW, weight_C1KLM)


def _backward(ctx: Any, gradient_BCPQR: Tensor) -> tuple[Tensor | None, ...]:
    maps_and_weight = ctx.saved_tensors
    wants_input, wants_weight, *_ = ctx.needs_input_grad
    sizes = (ctx.stride, ctx.padding)
    of_input = _input_gradient(gradient_BCPQR, *maps_and_weight, *sizes) if wants_input else None
    of_weight = _weight_gradient(gradient_BCPQR, *maps_and_weight, *sizes) if wants_weight else None
    return of_input, of_weight, None, None


depthwise_conv3d.register_autograd(_backward, setup_context=_remember)
