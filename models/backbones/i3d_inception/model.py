"""Inception I3D (Carreira and Zisserman 2017, arXiv:1705.07750).

Layers carry the names of the public PyTorch port, and padding is TensorFlow's SAME, so that published weights fit.

Shapes: B clips, C channels, T frames or steps, H height, W width, D features.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbones.family import Backbone
from models.backbones.i3d_inception.flavours import I3DInceptionFlavour

_Size: TypeAlias = tuple[int, int, int]
_NORM_MOMENTUM = 0.01
_NORM_EPSILON = 1e-3

_MIXED: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""Channels of each mixed block: 1x1 branch; 3x3 branch within and out; second 3x3 branch; pooled branch."""

_POOLED_BEFORE: dict[str, tuple[str, _Size, _Size]] = {
    "Mixed_3b": ("MaxPool3d_3a_3x3", (1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ("MaxPool3d_4a_3x3", (3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ("MaxPool3d_5a_2x2", (2, 2, 2), (2, 2, 2)),
}
"""Poolings between blocks: name, kernel, stride."""


class I3DInception(Backbone):
    """``clip_BCTHW`` to ``features_BTD`` with an eighth as many steps as frames and D = 1024."""

    def __init__(self, flavour: I3DInceptionFlavour) -> None:
        super().__init__()

        def scaled(channels: int) -> int:
            return max(1, round(channels * flavour.width))

        stem, wide = scaled(64), scaled(192)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["Conv3d_1a_7x7"] = _Unit(3, stem, (7, 7, 7), (2, 2, 2))
        layers["MaxPool3d_2a_3x3"] = _SamePool((1, 3, 3), (1, 2, 2))
        layers["Conv3d_2b_1x1"] = _Unit(stem, stem, (1, 1, 1))
        layers["Conv3d_2c_3x3"] = _Unit(stem, wide, (3, 3, 3))
        channels = wide
        for name, published in _MIXED.items():
            if name in _POOLED_BEFORE:
                pool, kernel, stride = _POOLED_BEFORE[name]
                layers[pool] = _SamePool(kernel, stride)
            layers[name] = mixed = _Mixed(channels, [scaled(each) for each in published])
            channels = mixed.num_channels
        for name, layer in layers.items():
            self.add_module(name, layer)
        self._order = tuple(layers)
        self.stages = tuple(name for name in layers if not name.startswith("MaxPool"))
        self.num_features = channels
        self.num_steps = flavour.clip_input.num_frames // 8
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each step."""
        maps_BDTHW = clip_BCTHW
        for name in self._order:
            maps_BDTHW = self.get_submodule(name)(maps_BDTHW)
        return maps_BDTHW.mean((3, 4)).transpose(1, 2)


class _Unit(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, channels: int, out_channels: int, kernel: _Size, stride: _Size = (1, 1, 1)) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, out_channels, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out_channels, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
        self._kernel, self._stride = kernel, stride

    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv3d(_same_padded(maps_BCTHW, self._kernel, self._stride))), inplace=True)


class _Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, channels: int, out_channels: Sequence[int]) -> None:
        super().__init__()
        direct, inner_1, outer_1, inner_2, outer_2, pooled = out_channels
        self.num_channels = direct + outer_1 + outer_2 + pooled
        self.b0 = _Unit(channels, direct, (1, 1, 1))
        self.b1a = _Unit(channels, inner_1, (1, 1, 1))
        self.b1b = _Unit(inner_1, outer_1, (3, 3, 3))
        self.b2a = _Unit(channels, inner_2, (1, 1, 1))
        self.b2b = _Unit(inner_2, outer_2, (3, 3, 3))
        self.b3a = _SamePool((3, 3, 3), (1, 1, 1))
        self.b3b = _Unit(channels, pooled, (1, 1, 1))

    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        branches = (
            self.b0(maps_BCTHW),
            self.b1b(self.b1a(maps_BCTHW)),
            self.b2b(self.b2a(maps_BCTHW)),
            self.b3b(self.b3a(maps_BCTHW)),
        )
        return torch.cat(branches, 1)


class _SamePool(nn.Module):
    def __init__(self, kernel: _Size, stride: _Size) -> None:
        super().__init__()
        self._kernel, self._stride = kernel, stride

    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        # What is pooled comes out of a ReLU, so zeros in the padding change no maximum.
        return F.max_pool3d(_same_padded(maps_BCTHW, self._kernel, self._stride), self._kernel, self._stride)


def _same_padded(maps_BCTHW: Tensor, kernel: _Size, stride: _Size) -> Tensor:
    """Pad like TensorFlow's SAME: an odd rest goes behind."""
    padding: list[int] = []
    for side, size, step in zip(maps_BCTHW.shape[2:], kernel, stride, strict=True):
        total = max((-(-side // step) - 1) * step + size - side, 0)
        padding = [total // 2, total - total // 2, *padding]
    return F.pad(maps_BCTHW, padding) if any(padding) else maps_BCTHW
