"""SlowFast (Feichtenhofer et al. 2019, arXiv:1812.03982), as pytorchvideo builds it.

Shapes: B clips, C channels, T frames of the fast pathway or steps of the slow one, H height, W width, D features.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.backbones.builders import create_slowfast, stages_of
from models.backbones.family import Backbone
from models.backbones.slowfast.flavours import SlowFastFlavour

_TEMPORAL = (3, 1, 1)
_SPATIAL = (1, 1, 1)
_DEEP_STAGE = 23
"""Blocks in the third stage of 101 layers."""


class SlowFast(Backbone):
    """``clip_BCTHW`` of the fast pathway to ``features_BTD`` with a step for each frame of the slow one and D = 2304.

    The slow pathway sees evenly spaced frames of the clip, from the first to the last. Features are both pathways' side
    by side, averaged over space, and the fast one's over the frames of a step.
    """

    slow_frames: Tensor

    def __init__(self, flavour: SlowFastFlavour) -> None:
        super().__init__()
        num_frames = flavour.clip_input.num_frames
        self.num_steps = num_frames // flavour.alpha
        self.num_features = 32 * flavour.stem + 32 * flavour.stem // flavour.beta
        network = create_slowfast(
            model_depth=flavour.depth,
            slowfast_channel_reduction_ratio=(flavour.beta,),
            slowfast_fusion_conv_kernel_size=(flavour.fusion, 1, 1),
            slowfast_fusion_conv_stride=(flavour.alpha, 1, 1),
            stem_dim_outs=(flavour.stem, flavour.stem // flavour.beta),
            head=None,
            **_kernels(flavour),
        )
        *stages, _ = network.blocks
        self.blocks = nn.Sequential(*stages)
        self.stages = stages_of(self.blocks)
        slow_frames = torch.linspace(0, num_frames - 1, self.num_steps).long()
        self.register_buffer("slow_frames", slow_frames, persistent=False)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each step of the slow pathway."""
        # The builder's blocks put their results into the list that they are given.
        slow_BDTHW, fast_BDTHW = self.blocks([clip_BCTHW.index_select(2, self.slow_frames), clip_BCTHW])
        slow_BDT, fast_BDT = slow_BDTHW.mean((3, 4)), fast_BDTHW.mean((3, 4))
        fast_BDT = fast_BDT.unflatten(2, (self.num_steps, -1)).mean(3)
        return torch.cat([slow_BDT, fast_BDT], 1).transpose(1, 2)


def _kernels(flavour: SlowFastFlavour) -> dict[str, Any]:
    """As in pytorchvideo.models.hub.slowfast_16x8_r101_50_50: there a deep stage looks along time only at first."""
    if flavour.temporal_blocks is None:
        return {}
    num_spatial = _DEEP_STAGE - flavour.temporal_blocks
    deep = (_TEMPORAL,) * flavour.temporal_blocks + (_SPATIAL,) * num_spatial
    slow = (_SPATIAL, _SPATIAL, deep, _TEMPORAL)
    fast = (_TEMPORAL, _TEMPORAL, deep, _TEMPORAL)
    return {"stage_conv_a_kernel_sizes": (slow, fast)}
