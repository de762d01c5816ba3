"""The loader: clips from shards to the device, in batches, ahead of the training step.

Threads suffice: decoding JPEG leaves Python's lock. Order, time jitter and augmentation are pure functions of (seed,
epoch, position), so a resumed run needs no state of the loader.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.clips.augment import Augment, Preprocess
from models.clips.label_sets import is_multi_label, wanted_of
from models.clips.sampling import CENTRE, ClipInput, View, frame_indices, windowed_order
from models.clips.shards import ClipStore, Held, ShardFolder, Shards
from models.share import ALONE, Share
from models.spec import AugmentParams

_BATCHES_AHEAD = 2
_SIZE_READERS = 16


@dataclass(frozen=True)
class Batch:
    """What one step takes.

    Attributes:
        clip_BCTHW: Normalised float32.
        label_B: Index of each clip's label; -1 where it has none.
        index_B: Position of each clip in the loader's table.
        wanted_BK: 1.0 for each label of a clip, where clips may have several; else None.
    """

    clip_BCTHW: Tensor
    label_B: Tensor
    index_B: Tensor
    wanted_BK: Tensor | None = None


class ClipLoader:
    """Batches of clips, read from shards by threads that work ahead.

    Clips of a loader come to one size: each is resized so that its shorter side equals the largest stored one, then
    its longer side is cut to what every clip has. Where cameras differ in shape that is a common centre part; where
    they agree nothing is lost. A model then takes the centre square of it, or in training a random part.

    Args:
        data: The dataset's folder, which holds ``shards/``.
        clips: Rows of the manifest; of a multi-label one with its column ``labels``.
        labels: Labels in order; a clip whose label is not among them gets -1.
        clip_input: What the model takes.
        batch_size: Clips per batch; the last batch may be smaller.
        augment: Augmentation; None for a plain view.
        view: Which plain view.
        seed: Of order, jitter and augmentation.
        shuffle: Whether each epoch has an order of its own.
        shuffled_shards: How many shards are read at a time where it has; 0 for all (:func:`windowed_order`).
        num_workers: Decoding threads.
        device: Where batches end up.
        shards: Where shards are, if not in the dataset's folder.

    Attributes:
        wanted_NK: 1.0 for each label of each clip of the table, where clips may have several; else None.
    """

    def __init__(
        self,
        data: Path,
        clips: pd.DataFrame,
        labels: Sequence[str],
        clip_input: ClipInput,
        batch_size: int,
        *,
        augment: AugmentParams | None = None,
        view: View = CENTRE,
        seed: int = 0,
        shuffle: bool = False,
        shuffled_shards: int = 0,
        num_workers: int = 1,
        device: torch.device | str = "cpu",
        shards: Shards | None = None,
    ) -> None:
        self._shards = shards or ShardFolder(data / "shards")
        self._store = ClipStore(self._shards)
        self._places = list(zip(clips["shard"].tolist(), clips["row"].tolist(), strict=True))
        index_of = {label: index for index, label in enumerate(labels)}
        self._label_N = torch.tensor([index_of.get(label, -1) for label in clips["label"]], dtype=torch.long)
        self.wanted_NK: Tensor | None = None
        if is_multi_label(clips):
            self._label_N = torch.full((len(clips),), -1)
            self.wanted_NK = torch.from_numpy(wanted_of(clips, labels)).float()
        self._input = clip_input
        self._labels = labels
        self._batch_size = batch_size
        self._params = augment
        self._view = view
        self._seed = seed
        self._shuffle = shuffle
        self._shuffled_shards = shuffled_shards
        self._num_workers = num_workers
        self._device = torch.device(device)
        new_stream: Any = torch.cuda.Stream  # without types
        self._stream = new_stream(self._device) if self._device.type == "cuda" else None
        self._size_N2 = self._sizes()
        self._common_size = common_size(
            [(width, height) for width, height in np.unique(self._size_N2, axis=0).tolist()]
        )

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(len(self._places) / self._batch_size)

    @property
    def num_clips(self) -> int:
        """Number of clips in an epoch."""
        return len(self._places)

    def epoch(
        self,
        number: int,
        *,
        first: int = 0,
        share: Share = ALONE,
        clip_input: ClipInput | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Batch]:
        """The batches of epoch ``number``, each decoded before it is asked for.

        Args:
            number: Which epoch.
            first: The batch to begin with; those before it are not read.
            share: Which part of each batch; all parts together are what one process sees.
            clip_input: What is to be made of the clips; default: what the model takes.
            batch_size: Clips per batch in this epoch; default: the loader's.

        Raises:
            UserError: A shard is missing or damaged.
        """
        size = batch_size or self._batch_size
        order_N = self._order(number)
        make = self._make(clip_input or self._input)
        starts = iter(range(first * size, len(order_N), size))
        executor = ThreadPoolExecutor(self._num_workers, thread_name_prefix="clips")
        coming_N = order_N[first * size :] if self._shards.max_open else order_N[:0]
        ahead = _Ahead(self._shards, [self._places[index][0] for index in coming_N])
        pending: deque[_Pending] = deque()
        try:
            for start in islice(starts, 1 + _BATCHES_AHEAD):
                pending.append(self._submit(executor, make, number, start, order_N[start : start + size], share))
            while pending:
                ahead.have_asked(len(pending[0].index_B))
                batch = self._collect(make, number, pending.popleft())
                if (start := next(starts, -1)) >= 0:
                    pending.append(self._submit(executor, make, number, start, order_N[start : start + size], share))
                yield batch
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
            ahead.close()

    def _sizes(self) -> NDArray[np.int32]:
        names = sorted({shard for shard, _ in self._places})
        with ThreadPoolExecutor(_SIZE_READERS) as executor:
            of_shard = dict(zip(names, executor.map(self._store.sizes, names), strict=True))
        sizes = [of_shard[shard][row] for shard, row in self._places]
        return np.stack(sizes) if sizes else np.empty((0, 2), np.int32)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if not self._shuffle:
            return np.arange(len(self._places))
        rng = np.random.default_rng([self._seed, epoch])
        if not self._shuffled_shards:
            return rng.permutation(len(self._places))
        return windowed_order([shard for shard, _ in self._places], self._shuffled_shards, rng)

    def _make(self, clip_input: ClipInput) -> "_Make":
        augment = Augment(clip_input, self._params, self._labels) if self._params else None
        preprocess = Preprocess(clip_input, self._view.across)
        return _Make(clip_input, self._params.time_jitter if self._params else 0.0, augment, preprocess)

    def _submit(
        self,
        executor: ThreadPoolExecutor,
        make: "_Make",
        epoch: int,
        start: int,
        everyones: NDArray[np.int64],
        share: Share,
    ) -> "_Pending":
        rows = share.rows(len(everyones))
        indices = everyones[rows]
        clip_BTHWC = torch.empty(
            (len(indices), make.clip_input.num_frames, *self._common_size, 3),
            dtype=torch.uint8,
            pin_memory=self._device.type == "cuda",
        )
        decoding = [
            executor.submit(self._decode_into, clip_THWC, int(index), make, epoch)
            for clip_THWC, index in zip(clip_BTHWC, indices, strict=True)
        ]
        return _Pending(start, torch.from_numpy(everyones), rows, clip_BTHWC, decoding)

    def _decode_into(self, clip_THWC: Tensor, index: int, make: "_Make", epoch: int) -> None:
        place = self._places[index]
        rng = np.random.default_rng([self._seed, epoch, index]) if make.jitter else None
        frames = frame_indices(self._store.times(*place), make.clip_input, make.jitter, rng, self._view.along)
        if tuple(self._size_N2[index].tolist()) == self._common_size[::-1]:
            self._store.decode(*place, frames, out=clip_THWC.numpy())
        else:
            clip_THWC.copy_(fit(torch.from_numpy(self._store.decode(*place, frames)), self._common_size))

    def _collect(self, make: "_Make", epoch: int, pending: "_Pending") -> Batch:
        for future in pending.decoding:
            future.result()
        if self._stream is None:
            return self._prepared(make, epoch, pending)
        # Beside the step that is under way, which the device has still to finish.
        with torch.cuda.stream(self._stream):
            batch = self._prepared(make, epoch, pending)
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        for tensor in (batch.clip_BCTHW, batch.label_B, batch.index_B, batch.wanted_BK):
            if tensor is not None:
                tensor.record_stream(current)
        return batch

    def _prepared(self, make: "_Make", epoch: int, pending: "_Pending") -> Batch:
        everyones_B = (self._label_N if self.wanted_NK is None else self.wanted_NK)[pending.index_B]
        index_B = pending.index_B[pending.rows]
        clip_BTHWC = pending.clip_BTHWC.to(self._device, non_blocking=True)
        if make.augment:
            # A generator for each batch: drawing depends on nothing that came before, nor on who else draws.
            state = np.random.default_rng([self._seed, epoch, pending.start, 1]).integers(2**63)
            generator = torch.Generator().manual_seed(int(state))
            draws = make.augment.draw(everyones_B, self._common_size, generator)
            clip_BCTHW = make.augment.apply(clip_BTHWC, draws.of(pending.rows))
        else:
            clip_BCTHW = make.preprocess(clip_BTHWC)
        wanted_BK = None if self.wanted_NK is None else self._sent(self.wanted_NK[index_B])
        return Batch(clip_BCTHW, self._sent(self._label_N[index_B]), self._sent(index_B), wanted_BK)

    def _sent(self, numbers_B: Tensor) -> Tensor:
        if self._stream is None:
            return numbers_B
        return numbers_B.pin_memory().to(self._device, non_blocking=True)


@dataclass(frozen=True)
class _Make:
    clip_input: ClipInput
    jitter: float
    augment: Augment | None
    preprocess: Preprocess


@dataclass(frozen=True)
class _Pending:
    start: int
    index_B: Tensor
    rows: slice
    clip_BTHWC: Tensor
    decoding: list[Future[None]]


class _Ahead:
    """Has shards fetched before their clips are asked for, where they come from afar, and kept until then.

    Args:
        shards: Where they are.
        order: The shard of each clip, in the order of the epoch.
    """

    def __init__(self, shards: Shards, order: Sequence[str]) -> None:
        self._shards = shards
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._first_use = {shard: at for at, shard in reversed(list(enumerate(order)))}
        self._coming = deque(sorted(self._first_use, key=lambda shard: self._first_use[shard]))
        self._fetched: deque[tuple[str, Future[Held]]] = deque()
        self._position = 0

    def have_asked(self, num_clips: int) -> None:
        """So many clips more were asked for."""
        self._position += num_clips
        while self._fetched and self._first_use[self._fetched[0][0]] < self._position:
            self._fetched.popleft()
        while self._coming and len(self._fetched) < (self._shards.max_open or 0):
            shard = self._coming.popleft()
            self._fetched.append((shard, self._executor.submit(self._shards.hold, shard)))

    def close(self) -> None:
        """Fetch no more, and keep nothing."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._fetched.clear()


def common_size(sizes: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Height and width to which clips of these (width, height) come; see :class:`ClipLoader`."""
    short = max((min(size) for size in sizes), default=1)
    scaled = [(width * short / min(width, height), height * short / min(width, height)) for width, height in sizes]
    return min((round(height) for _, height in scaled), default=1), min(
        (round(width) for width, _ in scaled), default=1
    )


def fit(clip_THWC: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize uint8 frames so that they cover ``size`` (height, width), and cut the centre out."""
    height, width = size
    if clip_THWC.shape[1] < height or clip_THWC.shape[2] < width:
        clip_THWC = _enlarged(clip_THWC, max(height / clip_THWC.shape[1], width / clip_THWC.shape[2]))
    top, left = (clip_THWC.shape[1] - height) // 2, (clip_THWC.shape[2] - width) // 2
    return clip_THWC[:, top : top + height, left : left + width]


def _enlarged(clip_THWC: Tensor, scale: float) -> Tensor:
    height, width = (math.ceil(side * scale) for side in clip_THWC.shape[1:3])
    clip_TCHW = clip_THWC.permute(0, 3, 1, 2).float()
    larger = torch.nn.functional.interpolate(clip_TCHW, (height, width), mode="bilinear", align_corners=False)
    return larger.round().to(torch.uint8).permute(0, 2, 3, 1)
