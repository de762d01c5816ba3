"""EfficientNet-Lite: MobileNetV2's inverted residuals, scaled, without squeeze-and-excitation, with ReLU6.

Tan and Le 2019 (arXiv:1905.11946); the Lite variant is TensorFlow's ``efficientnet/lite``, whose padding ("SAME":
asymmetric where the stride is 2) is kept so that its weights fit.

Shapes: B clips, C channels, T frames, H height, W width, N frames of all clips, D features.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbones.efficientnet_lite0.flavours import EfficientNetFlavour, Stage
from models.backbones.family import Backbone

_NORM_MOMENTUM = 0.01
_NORM_EPSILON = 1e-3


class EfficientNetLite0(Backbone):
    """One feature vector a frame: ``clip_BCTHW`` to ``features_BTD`` with D = 1280."""

    def __init__(self, flavour: EfficientNetFlavour) -> None:
        super().__init__()
        self.num_features = flavour.num_features
        self.num_steps = flavour.clip_input.num_frames
        self.stem = _conv_norm(3, flavour.stem, kernel=3, stride=2, active=True)
        blocks: list[nn.Module] = []
        channels = flavour.stem
        for stage in flavour.stages:
            for repeat in range(stage.repeats):
                blocks.append(_InvertedResidual(channels, stage, stride=1 if repeat else stage.stride))
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.last = _conv_norm(channels, flavour.num_features, active=True)
        self.stages = ("stem", *(f"blocks.{index}" for index in range(len(blocks))), "last")
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a missing stub

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features of each frame on its own."""
        num_clips, _, num_frames, _, _ = clip_BCTHW.shape
        frames_NCHW = clip_BCTHW.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        maps_NDHW = self.last(self.blocks(self.stem(frames_NCHW)))
        features_BTD: Tensor = maps_NDHW.mean((2, 3)).view(num_clips, num_frames, -1)
        return features_BTD


class _InvertedResidual(nn.Module):
    def __init__(self, channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = channels * stage.expansion
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if stage.expansion > 1:
            layers["expand"] = _conv_norm(channels, inner, active=True)
        layers["depthwise"] = _conv_norm(inner, inner, stage.kernel, stride, groups=inner, active=True)
        layers["project"] = _conv_norm(inner, stage.channels)
        self.layers = nn.Sequential(layers)
        self.skips = stride == 1 and channels == stage.channels
        self.residual_branches = ("layers",) if self.skips else ()

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        result: Tensor = self.layers(maps_NCHW)
        return maps_NCHW + result if self.skips else result


def _conv_norm(
    channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, active: bool = False
) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = _SamePadConv2d(channels, out_channels, kernel, stride, groups=groups, bias=False)
    layers["norm"] = nn.BatchNorm2d(out_channels, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
    if active:
        layers["activation"] = nn.ReLU6(inplace=True)
    return nn.Sequential(layers)


class _SamePadConv2d(nn.Conv2d):
    """Pads like TensorFlow's SAME: the output's side is the input's over the stride, rounded up."""

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(maps_NCHW, self.weight, padding=kernel // 2, groups=self.groups)
        top, bottom = _same_padding(maps_NCHW.shape[2], kernel, stride)
        left, right = _same_padding(maps_NCHW.shape[3], kernel, stride)
        padded_NCHW = F.pad(maps_NCHW, (left, right, top, bottom))
        return F.conv2d(padded_NCHW, self.weight, stride=stride, groups=self.groups)


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-side // stride)
    total = max((outputs - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2
