"""What one answer of a model costs, whatever the machine."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.build import VideoModel


def multiply_adds(model: VideoModel) -> int:
    """Multiplications, each with its addition, of one pass over one clip: those of convolutions, matrices, attention.

    Args:
        model: In eval mode.
    """
    clip_input = model.clip_input
    side = clip_input.size
    clip_BCTHW = torch.zeros(1, 3, clip_input.num_frames, side, side, device=next(model.parameters()).device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(clip_BCTHW)
    num_operations: int = counter.get_total_flops()
    return num_operations // 2
