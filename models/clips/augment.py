"""From decoded frames to what a model takes, in batches on the device.

Shapes: B clips, T frames, C channels, H height, W width, S side of the model's square input, N
values of a channel.
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
        num_clips, num_frames, height, width, _ = clip_BTHWC.shape
        side = min(height, width)
        box = ((width - side) // 2, (height - side) // 2, side, side)
        clip_BCTSS = _empty_input(num_clips, num_frames, self._input, clip_BTHWC.device)
        for frames_THWC, out_CTSS in zip(clip_BTHWC, clip_BCTSS, strict=True):
            crop_and_resize(frames_THWC, box, out_CTSS)
            _normalise(out_CTSS.mul_(1 / 255), self._input)
        return clip_BCTSS


class Augment:
    """Random crop, mirror and colour, drawn once a clip and the same for all its frames.

    The crop follows Inception's random resized crop (Szegedy et al. 2015, arXiv:1409.4842): area from ``crop_scale`` to
    1, aspect ratio from 3:4 to 4:3. Random numbers are drawn on the CPU, so a seed means the same on every device.
    """

    def __init__(self, clip_input: ClipInput, params: AugmentParams, labels: Sequence[str]) -> None:
        self._input = clip_input
        self._params = params
        # One entry more: a label of -1, unknown, may mean anything and is not mirrored.
        self._may_flip_K = torch.tensor([label not in params.no_flip_labels for label in labels] + [False])

    def __call__(self, clip_BTHWC: Tensor, label_B: Tensor, generator: torch.Generator) -> Tensor:
        """Turn uint8 frames into an augmented, normalised float32 ``clip_BCTSS``.

        Args:
            clip_BTHWC: Frames, on any device.
            label_B: Index of each clip's label, or -1.
            generator: On the CPU.
        """
        num_clips, num_frames, height, width, _ = clip_BTHWC.shape
        boxes_B4 = self._random_boxes(num_clips, height, width, generator)
        flip_B = torch.rand(num_clips, generator=generator) < self._params.flip
        flip_B &= self._may_flip_K[label_B.cpu()]
        factors_B3 = 1.0 + self._params.colour * (2.0 * torch.rand(num_clips, 3, generator=generator) - 1.0)
        clip_BCTSS = _empty_input(num_clips, num_frames, self._input, clip_BTHWC.device)
        # Clip by clip: what one step leaves in the processor's cache, the next one finds there.
        for clip in range(num_clips):
            crop_and_resize(clip_BTHWC[clip], boxes_B4[clip].tolist(), clip_BCTSS[clip], flip=bool(flip_B[clip]))
            _recolour(clip_BCTSS[clip], *factors_B3[clip].tolist())
            _normalise(clip_BCTSS[clip], self._input)
        return clip_BCTSS

    def _random_boxes(self, num_clips: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        area_B, aspect_B, x_B, y_B = torch.rand(4, num_clips, generator=generator)
        area_B = height * width * (self._params.crop_scale + (1.0 - self._params.crop_scale) * area_B)
        aspect_B = _ASPECT ** (2.0 * aspect_B - 1.0)
        width_B = (area_B * aspect_B).sqrt().clamp(max=width)
        height_B = (area_B / aspect_B).sqrt().clamp(max=height)
        boxes_4B = torch.stack([x_B * (width - width_B), y_B * (height - height_B), width_B, height_B])
        return boxes_4B.T.round().long()


def crop_and_resize(frames_THWC: Tensor, box: Sequence[int], out_CTSS: Tensor, *, flip: bool = False) -> None:
    """Cut a box out of a clip and resize it, antialiased.

    Args:
        frames_THWC: uint8 frames.
        box: Left, top, width and height in pixels.
        out_CTSS: Where the result goes, float32, with values 0..255.
        flip: Whether to mirror it.
    """
    left, top, width, height = box
    frames_TCHW = frames_THWC[:, top : top + height, left : left + width].permute(0, 3, 1, 2)
    # On the CPU torch resizes bytes, interleaved as decoded, many times as fast as floats; CUDA knows floats only.
    if frames_TCHW.is_cuda:
        frames_TCHW = frames_TCHW.float()
    size = out_CTSS.shape[-2:]
    resized_TCSS = torch.nn.functional.interpolate(frames_TCHW, size, mode="bilinear", antialias=True)
    out_CTSS.copy_((resized_TCSS.flip(-1) if flip else resized_TCSS).transpose(0, 1))


def _recolour(clip_CTSS: Tensor, brightness: float, contrast: float, saturation: float) -> None:
    """Change brightness, contrast about the clip's mean luma, and saturation, from 0..255 to 0..1, in place.

    The three steps are one affine map; values are clipped once, after the last.
    """
    values_CN = clip_CTSS.flatten(1)
    luma_C = values_CN.new_tensor(_LUMA)
    matrix_CC = contrast * brightness * torch.lerp(luma_C.expand(3, 3), torch.eye(3).to(luma_C), saturation) / 255.0
    mean_luma = brightness / 255.0 * (values_CN.mean(1) @ luma_C)
    torch.addmm((1.0 - contrast) * mean_luma, matrix_CC, values_CN.clone(), out=values_CN)
    clip_CTSS.clamp_(0.0, 1.0)


def _normalise(clip_CTSS: Tensor, clip_input: ClipInput) -> None:
    mean_C111, std_C111 = (
        clip_CTSS.new_tensor(values)[:, None, None, None] for values in (clip_input.mean, clip_input.std)
    )
    clip_CTSS.sub_(mean_C111).div_(std_C111)


def _empty_input(num_clips: int, num_frames: int, clip_input: ClipInput, device: torch.device) -> Tensor:
    return torch.empty((num_clips, 3, num_frames, clip_input.size, clip_input.size), device=device)
