"""Cropping and resizing a whole batch at once, for devices on which each call costs more than what it computes.

Shapes: B clips, T frames, C channels, H height, W width, S side of the result.
"""

import torch
from torch import Tensor


def crop_and_resize_batch(clip_BTHWC: Tensor, boxes_B4: Tensor, flip_B: Tensor, size: int) -> Tensor:
    """Cut a box out of each clip and resize it, antialiased, as two matrix products for all clips together.

    The same filter as ``torch.nn.functional.interpolate(mode="bilinear", antialias=True)``. In float16 on a GPU: bytes
    are exact in it, and a result is off by less than a quarter of a level.

    Args:
        clip_BTHWC: uint8 frames.
        boxes_B4: Left, top, width and height in pixels; on the CPU.
        flip_B: Which clips are mirrored; on the CPU.
        size: Side of the result in pixels.

    Returns:
        ``clip_BCTSS`` with values 0..255, float32.
    """
    num_clips, num_frames, height, width, num_channels = clip_BTHWC.shape
    device, dtype = clip_BTHWC.device, torch.float16 if clip_BTHWC.is_cuda else torch.float32
    packed_B5 = torch.cat([boxes_B4, flip_B[:, None]], 1).float()
    if clip_BTHWC.is_cuda:
        packed_B5 = packed_B5.pin_memory().to(device, non_blocking=True)
    left_B, top_B, width_B, height_B, mirrored_B = packed_B5.unbind(1)
    across_BSW = _filters(left_B, width_B, width, size)
    across_BSW = torch.where(mirrored_B[:, None, None] > 0, across_BSW.flip(1), across_BSW).to(dtype)
    down_BSH = _filters(top_B, height_B, height, size).to(dtype)
    frames_BNW = clip_BTHWC.permute(0, 4, 1, 2, 3).to(dtype).reshape(num_clips, -1, width)
    narrow_BFHS = torch.bmm(frames_BNW, across_BSW.mT).view(num_clips, num_channels * num_frames, height, size)
    small_BFSS = down_BSH[:, None] @ narrow_BFHS
    return small_BFSS.float().view(num_clips, num_channels, num_frames, size, size)


def _filters(start_B: Tensor, length_B: Tensor, num_pixels: int, size: int) -> Tensor:
    """What each of ``num_pixels`` pixels counts in each of ``size`` results: a triangle as wide as the step."""
    step_B11 = (length_B / size)[:, None, None]
    centre_BS1 = step_B11 * (torch.arange(size, device=start_B.device) + 0.5)[:, None]
    place_B1P = (torch.arange(num_pixels, device=start_B.device) + 0.5) - start_B[:, None, None]
    inside_B1P = (place_B1P > 0) & (place_B1P < length_B[:, None, None])
    counts_BSP = (1.0 - (place_B1P - centre_BS1).abs() / step_B11.clamp(min=1.0)).clamp(min=0.0) * inside_B1P
    return counts_BSP / counts_BSP.sum(2, keepdim=True)
