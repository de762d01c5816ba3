"""What a backbone costs, counted without computing."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.backbones.family import load_family


def cost(family: str, flavour: str) -> tuple[float, float]:
    """Parameters in millions, and multiply-adds of one clip in billions."""
    sizes = load_family(family)
    clip_input = sizes.flavours[flavour].clip_input
    backbone = sizes.build(sizes.flavours[flavour]).to("meta").eval()
    clip_BCTHW = torch.empty(1, 3, clip_input.num_frames, clip_input.size, clip_input.size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(clip_BCTHW)
    return sum(weight.numel() for weight in backbone.parameters()) / 1e6, counter.get_total_flops() / 2e9
