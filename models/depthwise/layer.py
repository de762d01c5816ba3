"""Depthwise layers that use kernels of their own where those are faster than cuDNN's.

In half precision cuDNN spends more than half of a training step of X3D on their convolutions
(docs/decisions/0019-loop.md). Layers keep the names, shapes and values of their weights.

Shapes: B clips, C channels; T frames, H height, W width of the input; P, Q, R of the output.
"""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor, nn

_WIDTHS = (1, 3)


def use_own_kernels(module: nn.Module) -> None:
    """Have the depthwise 3D convolutions in ``module`` use our kernels where they can."""
    for layer in module.modules():
        if type(layer) is nn.Conv3d and _is_depthwise(layer):
            layer.__class__ = DepthwiseConv3d


class DepthwiseConv3d(nn.Conv3d):
    """A kernel for each channel.

    Our kernels take clips that lie channels last on a GPU, as jobs in half precision keep them; all else is PyTorch's,
    and so is what an exported program holds.
    """

    def forward(self, input_BCTHW: Tensor) -> Tensor:
        """``input_BCTHW`` to ``output_BCPQR``, channels last if the input is."""
        if not _fits(input_BCTHW):
            return super().forward(input_BCTHW)
        from models.depthwise.op import depthwise_conv3d  # which needs Triton

        device_type = input_BCTHW.device.type
        if torch.is_autocast_enabled(device_type):
            input_BCTHW = input_BCTHW.to(torch.get_autocast_dtype(device_type))
        output_BCPQR: Tensor = depthwise_conv3d(input_BCTHW, self.weight, self.stride, self.padding)
        return output_BCPQR if self.bias is None else output_BCPQR + self.bias.to(output_BCPQR)[:, None, None, None]


def _is_depthwise(layer: nn.Conv3d) -> bool:
    return (
        layer.groups == layer.in_channels == layer.out_channels > 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and layer.dilation == (1, 1, 1)
        and layer.kernel_size[2] in _WIDTHS
    )


def _fits(input_BCTHW: Tensor) -> bool:
    return (
        input_BCTHW.is_cuda
        and input_BCTHW.ndim == 5
        and input_BCTHW.is_contiguous(memory_format=torch.channels_last_3d)
        and not torch.compiler.is_exporting()
        and _has_triton()
    )


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None
