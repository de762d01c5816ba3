"""From decoded frames to what a model takes, in batches on the device.

Shapes: B clips, T frames, C channels, H height, W width, S side of the model's square input.

Cropping, resizing and mirroring are one linear map along each axis: a matrix of antialiased triangle weights per clip.
The same matrix serves every frame of a clip, so frames cannot drift apart, and a batch is two matrix products.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.clips.sampling import ClipInput
from models.spec import AugmentParams

_ASPECT = 4 / 3
_LUMA = (0.299, 0.587, 0.114)


class Preprocess:
    """Centre square, resized and normalised: what a model sees when nothing is random."""

    def __init__(self, clip_input: ClipInput) -> None:
        self._input = clip_input

    def __call__(self, clip_BTHWC: Tensor) -> Tensor:
        """Turn uint8 frames into a normalised float32 ``clip_BCTSS``."""
        num_clips, _, height, width, _ = clip_BTHWC.shape
        boxes_B4 = centre_squares(num_clips, height, width)
        clip_BTCSS = crop_and_resize(clip_BTHWC, boxes_B4, self._input.size)
        return _normalised(clip_BTCSS / 255.0, self._input)


class Augment:
    """Random crop, mirror and colour, drawn once a clip and the same for all its frames.

    The crop follows Inception's random resized crop (Szegedy et al. 2015, arXiv:1409.4842): area from ``crop_scale`` to
    1, aspect ratio from 3:4 to 4:3. Random numbers are drawn on the CPU, so a seed means the same on every device.
    """

    def __init__(self, clip_input: ClipInput, params: AugmentParams, labels: Sequence[str]) -> None:
        self._input = clip_input
        self._params = params
        self._may_flip_K = torch.tensor([label not in params.no_flip_labels for label in labels], dtype=torch.bool)

    def __call__(self, clip_BTHWC: Tensor, label_B: Tensor, generator: torch.Generator) -> Tensor:
        """Turn uint8 frames into an augmented, normalised float32 ``clip_BCTSS``.

        Args:
            clip_BTHWC: Frames, on any device.
            label_B: Index of each clip's label; -1 (unknown) is never mirrored.
            generator: On the CPU.
        """
        num_clips, _, height, width, _ = clip_BTHWC.shape
        boxes_B4 = self._boxes(num_clips, height, width, generator)
        wants_flip_B = torch.rand(num_clips, generator=generator) < self._params.flip
        strength_3B = self._params.colour * (2.0 * torch.rand(3, num_clips, generator=generator) - 1.0)
        flip_B = wants_flip_B & self._may_flip(label_B.cpu())
        clip_BTCSS = crop_and_resize(clip_BTHWC, boxes_B4, self._input.size, flip_B) / 255.0
        if self._params.colour:
            clip_BTCSS = _recoloured(clip_BTCSS, 1.0 + strength_3B)
        return _normalised(clip_BTCSS, self._input)

    def _boxes(self, num_clips: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        area_B, aspect_B, x_B, y_B = torch.rand(4, num_clips, generator=generator)
        if self._params.crop_scale == 1.0:
            return centre_squares(num_clips, height, width)
        area_B = height * width * torch.lerp(torch.tensor(self._params.crop_scale), torch.tensor(1.0), area_B)
        aspect_B = _ASPECT ** (2.0 * aspect_B - 1.0)
        width_B = (area_B * aspect_B).sqrt().clamp(max=width)
        height_B = (area_B / aspect_B).sqrt().clamp(max=height)
        return torch.stack([x_B * (width - width_B), y_B * (height - height_B), width_B, height_B], dim=1)

    def _may_flip(self, label_B: Tensor) -> Tensor:
        if not len(self._may_flip_K):
            return torch.zeros_like(label_B, dtype=torch.bool)
        return self._may_flip_K[label_B.clamp(min=0)] & (label_B >= 0)


def centre_squares(num_clips: int, height: int, width: int) -> Tensor:
    """The largest centred square of each clip, as ``boxes_B4`` of left, top, width and height."""
    side = min(height, width)
    return torch.tensor([(width - side) / 2, (height - side) / 2, side, side]).expand(num_clips, 4)


def crop_and_resize(clip_BTHWC: Tensor, boxes_B4: Tensor, size: int, flip_B: Tensor | None = None) -> Tensor:
    """Cut one box out of each clip and resize it to a square, antialiased.

    Args:
        clip_BTHWC: uint8 frames.
        boxes_B4: Left, top, width and height of each clip's box in pixels; fractions allowed.
        size: Side of the result.
        flip_B: Which clips to mirror.

    Returns:
        float32 ``clip_BTCSS`` with values 0..255.
    """
    num_clips, num_frames, height, width, channels = clip_BTHWC.shape
    left_B, top_B, width_B, height_B = boxes_B4.unbind(1)
    columns_BSW = _triangle_weights(left_B, width_B, width, size)
    rows_BSH = _triangle_weights(top_B, height_B, height, size)
    if flip_B is not None:
        columns_BSW = torch.where(flip_B[:, None, None], columns_BSW.flip(1), columns_BSW)
    rows_B1SH = rows_BSH.to(clip_BTHWC.device)[:, None]
    columns_B1WS = columns_BSW.to(clip_BTHWC.device).transpose(1, 2)[:, None]
    clip_BTSX = rows_B1SH @ clip_BTHWC.reshape(num_clips, num_frames, height, width * channels).float()
    clip_BTSWC = clip_BTSX.view(num_clips, num_frames, size, width, channels)
    clip_BTYW = clip_BTSWC.permute(0, 1, 4, 2, 3).reshape(num_clips, num_frames, channels * size, width)
    return (clip_BTYW @ columns_B1WS).view(num_clips, num_frames, channels, size, size)


def _triangle_weights(start_B: Tensor, extent_B: Tensor, num_pixels: int, size: int) -> Tensor:
    # Bilinear where it enlarges; where it shrinks the triangle grows with the step, which averages instead of skipping.
    step_B = extent_B / size
    centre_BS = start_B[:, None] + (torch.arange(size) + 0.5) * step_B[:, None]
    distance_BSN = (torch.arange(num_pixels) + 0.5 - centre_BS[:, :, None]).abs()
    weights_BSN = (1.0 - distance_BSN / step_B.clamp(min=1.0)[:, None, None]).clamp(min=0.0)
    return weights_BSN / weights_BSN.sum(2, keepdim=True)


def _recoloured(clip_BTCSS: Tensor, factor_3B: Tensor) -> Tensor:
    brightness, contrast, saturation = factor_3B.to(clip_BTCSS.device)[:, :, None, None, None, None]
    luma_C11 = torch.tensor(_LUMA, device=clip_BTCSS.device)[:, None, None]
    clip_BTCSS = (clip_BTCSS * brightness).clamp(0.0, 1.0)
    grey_BT1SS = (clip_BTCSS * luma_C11).sum(2, keepdim=True)
    mean_B1111 = grey_BT1SS.mean((1, 2, 3, 4), keepdim=True)
    clip_BTCSS = torch.lerp(mean_B1111, clip_BTCSS, contrast).clamp(0.0, 1.0)
    grey_BT1SS = (clip_BTCSS * luma_C11).sum(2, keepdim=True)
    return torch.lerp(grey_BT1SS, clip_BTCSS, saturation).clamp(0.0, 1.0)


def _normalised(clip_BTCSS: Tensor, clip_input: ClipInput) -> Tensor:
    mean_C11 = torch.tensor(clip_input.mean, device=clip_BTCSS.device)[:, None, None]
    std_C11 = torch.tensor(clip_input.std, device=clip_BTCSS.device)[:, None, None]
    return ((clip_BTCSS - mean_C11) / std_C11).transpose(1, 2).contiguous()
