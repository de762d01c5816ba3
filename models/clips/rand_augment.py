"""RandAugment for clips: a few operations, drawn from a list, at one strength, in batches on the device.

Shapes: B clips, N those with the same operation, L layers, C channels, T frames, H height, W width, P all pixels of a
channel.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from models.clips.sampling import ClipInput
from models.spec import RandAugmentParams

Operation = Callable[[Tensor, Tensor], Tensor]
"""From ``clip_NCTHW`` with values 0..1 and ``strength_N`` in -1..1 to clips of the same shape."""

_LUMA = (0.299, 0.587, 0.114)
_FILL = 0.5
_LARGEST_ANGLE = math.radians(30.0)
_LARGEST_SHEAR = 0.3
_LARGEST_SHIFT = 0.45
_LARGEST_CHANGE = 0.9
_MOST_BITS_LOST = 4
_BLUR = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))


class RandAugment:
    """Cubuk et al. 2020 (arXiv:1909.13719), the same for all frames of a clip.

    The fourteen operations of the paper; none of them mirrors, so labels that a mirror would change stay right. Those
    that look at a clip's values (contrast, histogram) look at all of its frames.

    Args:
        clip_input: Mean and deviation by which clips are normalised.
        params: Operations a clip, and their strength.
    """

    def __init__(self, clip_input: ClipInput, params: RandAugmentParams) -> None:
        self._mean, self._std = clip_input.mean, clip_input.std
        self._layers = params.layers
        self._strength = params.magnitude / 10.0

    def draw(self, num_clips: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Everything random about so many clips, on the CPU: a seed means the same on every device.

        Returns:
            ``operation_BL``, numbers of :data:`OPERATIONS`, and ``sign_BL``, -1 or 1.
        """
        shape = (num_clips, self._layers)
        operation_BL = torch.randint(len(OPERATIONS), shape, generator=generator)
        return operation_BL, 2.0 * torch.randint(2, shape, generator=generator) - 1.0

    def __call__(self, clip_BCTHW: Tensor, operation_BL: Tensor, sign_BL: Tensor) -> Tensor:
        """Augment normalised clips as was drawn; without layers they stay as they are.

        Args:
            clip_BCTHW: Clips, on any device.
            operation_BL: See :meth:`draw`.
            sign_BL: See :meth:`draw`.
        """
        if not self._layers:
            return clip_BCTHW
        mean_C111, std_C111 = (clip_BCTHW.new_tensor(each).view(3, 1, 1, 1) for each in (self._mean, self._std))
        clip_BCTHW = (clip_BCTHW * std_C111 + mean_C111).clamp(0.0, 1.0)
        for operation_B, sign_B in zip(operation_BL.T, sign_BL.T, strict=True):
            for number in sorted(set(operation_B.tolist())):
                at_N = (operation_B == number).nonzero()[:, 0]
                strength_N = (self._strength * sign_B[at_N]).to(clip_BCTHW.device)
                at_N = at_N.to(clip_BCTHW.device)
                clip_BCTHW[at_N] = OPERATIONS[number](clip_BCTHW[at_N], strength_N).clamp(0.0, 1.0)
        return (clip_BCTHW - mean_C111) / std_C111


def identity(clip_NCTHW: Tensor, _: Tensor) -> Tensor:
    """Nothing."""
    return clip_NCTHW


def rotate(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Turn by up to 30 degrees."""
    cos_N, sin_N = torch.cos(_LARGEST_ANGLE * strength_N), torch.sin(_LARGEST_ANGLE * strength_N)
    return _warp(clip_NCTHW, xx=cos_N, xy=-sin_N, yx=sin_N, yy=cos_N)


def shear_x(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Lean to a side by up to 0.3."""
    return _warp(clip_NCTHW, xy=_LARGEST_SHEAR * strength_N)


def shear_y(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """The same along the height."""
    return _warp(clip_NCTHW, yx=_LARGEST_SHEAR * strength_N)


def translate_x(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Move to a side by up to 0.45 of the width."""
    return _warp(clip_NCTHW, x=2.0 * _LARGEST_SHIFT * strength_N)


def translate_y(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """The same along the height."""
    return _warp(clip_NCTHW, y=2.0 * _LARGEST_SHIFT * strength_N)


def brightness(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Away from black or towards it."""
    return _away_from(torch.zeros_like(clip_NCTHW), clip_NCTHW, strength_N)


def contrast(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Away from the clip's mean luma or towards it."""
    return _away_from(_luma(clip_NCTHW).mean((1, 2, 3, 4), keepdim=True), clip_NCTHW, strength_N)


def colour(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Away from grey or towards it."""
    return _away_from(_luma(clip_NCTHW), clip_NCTHW, strength_N)


def sharpness(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Away from a blurred clip or towards it; pixels at the edge stay."""
    blur_11133 = clip_NCTHW.new_tensor(_BLUR).div(13.0).view(1, 1, 1, 3, 3)
    blurred_NCTHW = clip_NCTHW.clone()
    inner = F.conv3d(clip_NCTHW.flatten(0, 1)[:, None], blur_11133)
    blurred_NCTHW[..., 1:-1, 1:-1] = inner.view_as(blurred_NCTHW[..., 1:-1, 1:-1])
    return _away_from(blurred_NCTHW, clip_NCTHW, strength_N)


def posterize(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Lose up to four of eight bits."""
    step_N1111 = 2.0 ** _as_clips((_MOST_BITS_LOST * strength_N.abs()).round())
    return ((clip_NCTHW * 255.0 / step_N1111).floor() * step_N1111) / 255.0


def solarize(clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    """Invert what is brighter than a threshold, which falls from 1 to 0 with strength."""
    return torch.where(clip_NCTHW > 1.0 - _as_clips(strength_N.abs()), 1.0 - clip_NCTHW, clip_NCTHW)


def autocontrast(clip_NCTHW: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel of a clip to the whole range; a channel of one value stays."""
    low, high = clip_NCTHW.amin((2, 3, 4), keepdim=True), clip_NCTHW.amax((2, 3, 4), keepdim=True)
    stretched_NCTHW = (clip_NCTHW - low) / (high - low).clamp(min=1e-6)
    return torch.where(high > low, stretched_NCTHW, clip_NCTHW)


def equalize(clip_NCTHW: Tensor, _: Tensor) -> Tensor:
    """Give the 256 levels of each channel of a clip about the same number of pixels each."""
    level_MP = (clip_NCTHW * 255.0).round().long().flatten(2).flatten(0, 1)
    row_M1 = 256 * torch.arange(len(level_MP), device=level_MP.device)[:, None]
    count_ML = torch.bincount((level_MP + row_M1).flatten(), minlength=256 * len(level_MP)).view(-1, 256)
    up_to_ML = count_ML.cumsum(1)
    lowest_M1 = count_ML.gather(1, (count_ML > 0).long().argmax(1, keepdim=True))
    spread_ML = (up_to_ML - lowest_M1).clamp(min=0) / (up_to_ML[:, -1:] - lowest_M1).clamp(min=1)
    equal_NCTHW = spread_ML.gather(1, level_MP).to(clip_NCTHW.dtype).view(clip_NCTHW.shape)
    one_level_N1111 = (lowest_M1 == up_to_ML[:, -1:]).view(*clip_NCTHW.shape[:2], 1, 1, 1)
    return torch.where(one_level_N1111, clip_NCTHW, equal_NCTHW)


OPERATIONS: tuple[Operation, ...] = (
    identity, autocontrast, equalize, rotate, solarize, colour, posterize, contrast, brightness, sharpness, shear_x,
    shear_y, translate_x, translate_y,
)  # fmt: skip
"""The paper's list."""


def _warp(
    clip_NCTHW: Tensor,
    *,
    xx: Tensor | float = 1.0,
    xy: Tensor | float = 0.0,
    x: Tensor | float = 0.0,
    yx: Tensor | float = 0.0,
    yy: Tensor | float = 1.0,
    y: Tensor | float = 0.0,
) -> Tensor:
    """Read each pixel where an affine map of its place, -1..1, says; beyond the frame is grey."""
    num_clips, _, _, height, width = clip_NCTHW.shape
    entries = [torch.as_tensor(each, device=clip_NCTHW.device).expand(num_clips) for each in (xx, xy, x, yx, yy, y)]
    grid_NHW2 = F.affine_grid(
        torch.stack(entries, 1).view(num_clips, 2, 3), [num_clips, 1, height, width], align_corners=False
    )
    planes = (clip_NCTHW - _FILL).flatten(1, 2)
    warped = F.grid_sample(planes, grid_NHW2, mode="bilinear", padding_mode="zeros", align_corners=False)
    return warped.view(clip_NCTHW.shape) + _FILL


def _away_from(other_NCTHW: Tensor, clip_NCTHW: Tensor, strength_N: Tensor) -> Tensor:
    return torch.lerp(other_NCTHW.expand_as(clip_NCTHW), clip_NCTHW, _as_clips(1.0 + _LARGEST_CHANGE * strength_N))


def _luma(clip_NCTHW: Tensor) -> Tensor:
    return (clip_NCTHW * clip_NCTHW.new_tensor(_LUMA).view(3, 1, 1, 1)).sum(1, keepdim=True)


def _as_clips(value_N: Tensor) -> Tensor:
    return value_N.view(-1, 1, 1, 1, 1)
