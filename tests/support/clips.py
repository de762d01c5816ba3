"""Loaders of made-up clips, with the interface of models.clips.loader.ClipLoader."""

from collections.abc import Iterator

import torch
from torch import Tensor

from models.clips.loader import Batch
from models.clips.sampling import ClipInput
from models.share import ALONE, Share


class NoiseLoader:
    """Clips of noise around one pattern a class; another view, and another order, every epoch."""

    wanted_NK = None

    def __init__(
        self, clip_input: ClipInput, num_clips: int = 12, batch_size: int = 4, num_classes: int = 3, noise: float = 0.5
    ) -> None:
        side, num_frames = clip_input.size, clip_input.num_frames
        generator = torch.Generator().manual_seed(7)
        self._pattern_KCTHW = torch.randn(num_classes, 3, num_frames, side, side, generator=generator)
        self._label_N = torch.arange(num_clips) % num_classes
        self._batch_size = batch_size
        self._noise = noise

    @property
    def num_clips(self) -> int:
        return len(self._label_N)

    def __len__(self) -> int:
        return -(-self.num_clips // self._batch_size)

    def epoch(
        self,
        number: int,
        *,
        first: int = 0,
        share: Share = ALONE,
        clip_input: ClipInput | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(number)
        order_N = torch.randperm(self.num_clips, generator=generator)
        noise_NCTHW = torch.randn(self.num_clips, *self._pattern_KCTHW.shape[1:], generator=generator)
        for everyones_B in order_N.split(batch_size or self._batch_size)[first:]:
            index_B = everyones_B[share.rows(len(everyones_B))]
            label_B = self._label_N[index_B]
            clip_BCTHW = self._pattern_KCTHW[label_B] + self._noise * noise_NCTHW[index_B]
            yield Batch(_resized(clip_BCTHW, clip_input), label_B, index_B)


class ArrayLoader:
    """Given clips, in another order every epoch where they are shuffled."""

    wanted_NK = None

    def __init__(self, clip_NCTHW: Tensor, label_N: Tensor, *, batch_size: int = 8, shuffle: bool = False) -> None:
        self._clip_NCTHW, self._label_N = clip_NCTHW, label_N
        self._batch_size, self._shuffle = batch_size, shuffle

    @property
    def num_clips(self) -> int:
        return len(self._label_N)

    def __len__(self) -> int:
        return -(-self.num_clips // self._batch_size)

    def epoch(
        self,
        number: int,
        *,
        first: int = 0,
        share: Share = ALONE,
        clip_input: ClipInput | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Batch]:
        order_N = torch.arange(self.num_clips)
        if self._shuffle:
            order_N = torch.randperm(self.num_clips, generator=torch.Generator().manual_seed(number))
        for everyones_B in order_N.split(batch_size or self._batch_size)[first:]:
            index_B = everyones_B[share.rows(len(everyones_B))]
            yield Batch(_resized(self._clip_NCTHW[index_B], clip_input), self._label_N[index_B], index_B)


def _resized(clip_BCTHW: Tensor, clip_input: ClipInput | None) -> Tensor:
    if clip_input is None:
        return clip_BCTHW
    size = (clip_input.num_frames, clip_input.size, clip_input.size)
    return torch.nn.functional.interpolate(clip_BCTHW, size) if clip_BCTHW.shape[2:] != size else clip_BCTHW
