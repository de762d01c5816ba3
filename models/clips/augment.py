"""From decoded frames to what a model takes, in batches on the device.

Shapes: B clips, T frames, C channels, H height, W width, S side of the model's square input, N
values of a channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from models.clips.rand_augment import RandAugment
from models.clips.resample import crop_and_resize_batch
from models.clips.sampling import ClipInput
from models.spec import AugmentParams

_ASPECT = 4 / 3
_LUMA = (0.299, 0.587, 0.114)


class Preprocess:
    """A square, resized and normalised: what a model sees when nothing is random.

    Args:
        clip_input: What the model takes.
        across: Where along the frame's longer side the square is; see :class:`models.clips.sampling.View`.
    """

    def __init__(self, clip_input: ClipInput, across: float = 0.5) -> None:
        self._input = clip_input
        self._across = across

    def __call__(self, clip_BTHWC: Tensor) -> Tensor:
        """Turn uint8 frames into a normalised float32 ``clip_BCTSS``."""
        num_clips, num_frames, height, width, _ = clip_BTHWC.shape
        box = _square(height, width, self._across)
        if clip_BTHWC.is_cuda:
            boxes_B4 = torch.tensor(box).expand(num_clips, 4)
            resized_BCTSS = crop_and_resize_batch(clip_BTHWC, boxes_B4, torch.zeros(num_clips), self._input.size)
            mean_C111, std_C111 = _per_channel(self._input, clip_BTHWC.device)
            return resized_BCTSS.mul_(1.0 / (255.0 * std_C111)).sub_(mean_C111 / std_C111)
        clip_BCTSS = _empty_input(num_clips, num_frames, self._input, clip_BTHWC.device)
        for clip in range(num_clips):
            crop_and_resize(clip_BTHWC[clip], box, clip_BCTSS[clip])
            for values_TSS, mean, std in zip(clip_BCTSS[clip], self._input.mean, self._input.std, strict=True):
                values_TSS.mul_(1.0 / (255.0 * std)).sub_(mean / std)
        return clip_BCTSS


class Augment:
    """Random crop, mirror, colour and operations, drawn once a clip and the same for all its frames.

    The crop follows Inception's random resized crop (Szegedy et al. 2015, arXiv:1409.4842): area from ``crop_scale`` to
    1, aspect ratio from 3:4 to 4:3. Random numbers are drawn on the CPU, so a seed means the same on every device.
    """

    def __init__(self, clip_input: ClipInput, params: AugmentParams, labels: Sequence[str]) -> None:
        self._input = clip_input
        self._params = params
        self._rand_augment = RandAugment(clip_input, params.rand_augment)
        # One entry more: a label of -1, unknown, may mean anything and is not mirrored.
        self._may_flip_K = torch.tensor([label not in params.no_flip_labels for label in labels] + [False])

    def __call__(self, clip_BTHWC: Tensor, label_B: Tensor, generator: torch.Generator) -> Tensor:
        """Turn uint8 frames into an augmented, normalised float32 ``clip_BCTSS``.

        Args:
            clip_BTHWC: Frames, on any device.
            label_B: Index of each clip's label, or -1; where clips may have several, 1.0 for each, shape (B, K).
            generator: On the CPU.
        """
        return self.apply(clip_BTHWC, self.draw(label_B, (clip_BTHWC.shape[2], clip_BTHWC.shape[3]), generator))

    def draw(self, label_B: Tensor, size: tuple[int, int], generator: torch.Generator) -> "Draws":
        """Everything random about clips of these labels and this size (height, width); see :meth:`__call__`."""
        num_clips = len(label_B)
        boxes_B4 = self._random_boxes(num_clips, *size, generator)
        flip_B = torch.rand(num_clips, generator=generator) < self._params.flip
        flip_B &= self._may_flip(label_B.cpu())
        factors_B3 = 1.0 + self._params.colour * (2.0 * torch.rand(num_clips, 3, generator=generator) - 1.0)
        return Draws(boxes_B4, flip_B, factors_B3, *self._rand_augment.draw(num_clips, generator))

    def _may_flip(self, label_B: Tensor) -> Tensor:
        if label_B.ndim == 1:
            return self._may_flip_K[label_B]
        return ~(label_B.bool() & ~self._may_flip_K[:-1]).any(1)

    def apply(self, clip_BTHWC: Tensor, draws: "Draws") -> Tensor:
        """Change the clips as ``draws`` says; see :meth:`__call__`."""
        num_clips, num_frames = clip_BTHWC.shape[:2]
        boxes_B4, flip_B, factors_B3 = draws.boxes_B4, draws.flip_B, draws.factors_B3
        if clip_BTHWC.is_cuda:
            resized_BCTSS = crop_and_resize_batch(clip_BTHWC, boxes_B4, flip_B, self._input.size)
            recoloured_BCTSS = _recolour_batch(resized_BCTSS, factors_B3, self._input)
            return self._rand_augment(recoloured_BCTSS, draws.operation_BL, draws.sign_BL)
        clip_BCTSS = _empty_input(num_clips, num_frames, self._input, clip_BTHWC.device)
        # Clip by clip: what one step leaves in the processor's cache, the next one finds there.
        resized_CTSS = clip_BCTSS.new_empty(clip_BCTSS.shape[1:])
        for clip in range(num_clips):
            crop_and_resize(clip_BTHWC[clip], boxes_B4[clip].tolist(), resized_CTSS, flip=bool(flip_B[clip]))
            self._recolour(resized_CTSS, factors_B3[clip].tolist(), clip_BCTSS[clip])
        return self._rand_augment(clip_BCTSS, draws.operation_BL, draws.sign_BL)

    def _random_boxes(self, num_clips: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        area_B, aspect_B, x_B, y_B = torch.rand(4, num_clips, generator=generator)
        if self._params.crop_scale == 1.0:
            return torch.tensor(_square(height, width, 0.5)).expand(num_clips, 4)
        area_B = height * width * (self._params.crop_scale + (1.0 - self._params.crop_scale) * area_B)
        aspect_B = _ASPECT ** (2.0 * aspect_B - 1.0)
        width_B = (area_B * aspect_B).sqrt().clamp(max=width)
        height_B = (area_B / aspect_B).sqrt().clamp(max=height)
        boxes_4B = torch.stack([x_B * (width - width_B), y_B * (height - height_B), width_B, height_B])
        return boxes_4B.T.round().long()

    def _recolour(self, resized_CTSS: Tensor, factors: Sequence[float], out_CTSS: Tensor) -> None:
        """Change brightness, contrast about the clip's mean luma, and saturation; normalise.

        All are one affine map; values are clipped to what 0..1 becomes, once, at the end.
        """
        brightness, contrast, saturation = factors
        values_CN = resized_CTSS.flatten(1)
        luma_C, mean_C, std_C = (values_CN.new_tensor(each) for each in (_LUMA, self._input.mean, self._input.std))
        saturation_CC = torch.lerp(luma_C.expand(3, 3), torch.eye(3, device=luma_C.device), saturation)
        mean_luma = values_CN.mean(1) @ luma_C * (brightness / 255.0)
        offset_C = ((1.0 - contrast) * mean_luma - mean_C) / std_C
        matrix_CC = saturation_CC * (brightness * contrast / 255.0) / std_C[:, None]
        torch.addmm(offset_C[:, None], matrix_CC, values_CN, out=out_CTSS.view(3, -1))
        for values_TSS, mean, std in zip(out_CTSS, self._input.mean, self._input.std, strict=True):
            values_TSS.clamp_(-mean / std, (1.0 - mean) / std)


@dataclass(frozen=True)
class Draws:
    """What was drawn for the clips of a batch.

    Attributes:
        boxes_B4: Left, top, width and height of the crop, in pixels.
        flip_B: Whether the clip is mirrored.
        factors_B3: Of brightness, contrast and saturation.
        operation_BL: Of each layer of RandAugment, by number.
        sign_BL: Which way it goes.
    """

    boxes_B4: Tensor
    flip_B: Tensor
    factors_B3: Tensor
    operation_BL: Tensor
    sign_BL: Tensor

    def of(self, rows: slice) -> "Draws":
        """Those of some of the clips."""
        return Draws(*(each[rows] for each in vars(self).values()))


def _recolour_batch(resized_BCTSS: Tensor, factors_B3: Tensor, clip_input: ClipInput) -> Tensor:
    """What :meth:`Augment._recolour` does, for all clips together."""
    values_BCN = resized_BCTSS.flatten(2)
    device = values_BCN.device
    if values_BCN.is_cuda:
        factors_B3 = factors_B3.pin_memory()
    brightness_B, contrast_B, saturation_B = factors_B3.to(device, non_blocking=True).unbind(1)
    mean_C, std_C = (each.view(3) for each in _per_channel(clip_input, device))
    luma_C = _constant(_LUMA, device)
    saturation_BCC = torch.lerp(luma_C.expand(3, 3), torch.eye(3, device=device), saturation_B[:, None, None])
    mean_luma_B = values_BCN.mean(2) @ luma_C * (brightness_B / 255.0)
    offset_BC = (((1.0 - contrast_B) * mean_luma_B)[:, None] - mean_C) / std_C
    matrix_BCC = saturation_BCC * (brightness_B * contrast_B / 255.0)[:, None, None] / std_C[:, None]
    recoloured_BCN = torch.baddbmm(offset_BC[:, :, None], matrix_BCC, values_BCN)
    lowest_C1, highest_C1 = (-mean_C / std_C)[:, None], ((1.0 - mean_C) / std_C)[:, None]
    return recoloured_BCN.clamp_(lowest_C1, highest_C1).view_as(resized_BCTSS)


def _per_channel(clip_input: ClipInput, device: torch.device) -> tuple[Tensor, Tensor]:
    mean_C, std_C = _constant(clip_input.mean, device), _constant(clip_input.std, device)
    return mean_C[:, None, None, None], std_C[:, None, None, None]


@lru_cache
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Copied to the device once: a copy from pageable memory would wait for all that the device has to do."""
    return torch.tensor(values, device=device)


def crop_and_resize(frames_THWC: Tensor, box: Sequence[int], out_CTSS: Tensor, *, flip: bool = False) -> None:
    """Cut a box out of a clip and resize it, antialiased, on the CPU.

    There torch resizes bytes, interleaved as decoded, many times as fast as floats.

    Args:
        frames_THWC: uint8 frames.
        box: Left, top, width and height in pixels.
        out_CTSS: Where the result goes, float32, with values 0..255.
        flip: Whether to mirror it.
    """
    left, top, width, height = box
    frames_TCHW = frames_THWC[:, top : top + height, left : left + width].permute(0, 3, 1, 2)
    size = out_CTSS.shape[-2:]
    resized_TCSS = torch.nn.functional.interpolate(frames_TCHW, size, mode="bilinear", antialias=True)
    out_CTSS.copy_((resized_TCSS.flip(-1) if flip else resized_TCSS).transpose(0, 1))


def _square(height: int, width: int, across: float) -> tuple[int, int, int, int]:
    side = min(height, width)
    return int((width - side) * across), int((height - side) * across), side, side


def _empty_input(num_clips: int, num_frames: int, clip_input: ClipInput, device: torch.device) -> Tensor:
    return torch.empty((num_clips, 3, num_frames, clip_input.size, clip_input.size), device=device)
