"""From decoded frames to what a model takes, in batches on the device.

Shapes: B clips, T frames, C channels, H height, W width, S side of the model's square input, N
values of a channel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.clips.rand_augment import RandAugment
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
        resized_CTSS = torch.empty_like(clip_BCTSS[0])
        for clip in range(num_clips):
            crop_and_resize(clip_BTHWC[clip], boxes_B4[clip].tolist(), resized_CTSS, flip=bool(flip_B[clip]))
            self._recolour(resized_CTSS, factors_B3[clip].tolist(), clip_BCTSS[clip])
        return self._rand_augment(clip_BCTSS, generator) if self._params.rand_augment.layers else clip_BCTSS

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


def _square(height: int, width: int, across: float) -> tuple[int, int, int, int]:
    side = min(height, width)
    return int((width - side) * across), int((height - side) * across), side, side


def _empty_input(num_clips: int, num_frames: int, clip_input: ClipInput, device: torch.device) -> Tensor:
    return torch.empty((num_clips, 3, num_frames, clip_input.size, clip_input.size), device=device)
