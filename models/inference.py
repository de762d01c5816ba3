"""Running a model over a loader's clips, without training.

Shapes: B clips of a batch, N all clips.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from models.clips.loader import Batch
from models.clips.sampling import ClipInput
from models.memory import keep_freed_memory
from models.share import ALONE, Share


class Loader(Protocol):
    """What :class:`models.clips.loader.ClipLoader` offers.

    Attributes:
        wanted_NK: 1.0 for each label of each clip, by clip, where clips may have several; else None.
    """

    wanted_NK: Tensor | None

    @property
    def num_clips(self) -> int:
        """Clips in an epoch."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(
        self,
        number: int,
        *,
        first: int = 0,
        share: Share = ALONE,
        clip_input: ClipInput | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Batch]:
        """The batches of an epoch from ``first`` on, a pure function of its number."""


def infer(
    model: nn.Module, run: Callable[[Tensor], Tensor], loader: Loader, epoch: int = 0, *, title: str, bf16: bool = False
) -> tuple[Tensor, Tensor]:
    """Apply ``run`` to every clip of an epoch, with ``model`` in eval mode.

    On a CPU batches run side by side, each on one thread: the result is the same to the byte on any number of cores,
    and the cores are used better than by many threads on one batch.

    Args:
        model: What ``run`` uses; it says where to compute.
        run: From ``clip_BCTHW`` to anything whose first dimension is B.
        loader: Its clips come back in the order of its table.
        epoch: Which views of the clips.
        title: Of the progress bar.
        bf16: Whether to compute in bfloat16 where that is safe.

    Returns:
        Results, float32, and labels, by clip, where the model is.
    """
    keep_freed_memory()
    device = next(model.parameters()).device
    num_workers = (os.cpu_count() or 1) if device.type == "cpu" else 1

    def one(batch: Batch) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return run(batch.clip_BCTHW).float()

    result_N = torch.empty(0)
    label_N = torch.empty(loader.num_clips, dtype=torch.long, device=device)
    with evaluating(model), one_thread_each(), ThreadPoolExecutor(num_workers, thread_name_prefix=title) as executor:
        batches = tqdm(loader.epoch(epoch), title, len(loader), leave=False, disable=None)
        for batch, result_B in _in_order(executor, one, batches, num_ahead=2 * num_workers):
            if not result_N.numel():
                result_N = torch.empty((loader.num_clips, *result_B.shape[1:]), device=device)
            result_N[batch.index_B] = result_B
            label_N[batch.index_B] = batch.label_B
    return result_N, label_N


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """``model`` in eval mode, for a while."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Every operator on the thread that calls it, for a while."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def _in_order(
    executor: ThreadPoolExecutor, one: Callable[[Batch], Tensor], batches: Iterator[Batch], num_ahead: int
) -> Iterator[tuple[Batch, Tensor]]:
    pending: deque[tuple[Batch, Future[Tensor]]] = deque()
    for batch in batches:
        pending.append((batch, executor.submit(one, batch)))
        if len(pending) > num_ahead:
            oldest, future = pending.popleft()
            yield oldest, future.result()
    for oldest, future in pending:
        yield oldest, future.result()
