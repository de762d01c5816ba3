"""Features of a frozen backbone, extracted once and kept as a file, so that training a head takes seconds.

Shapes: V views, N clips, T steps, D features.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from models.build import VideoModel
from models.clips.loader import Batch
from models.files import replacing
from models.predict import Loader

logger = logging.getLogger(__name__)

NUM_VIEWS = 4
"""Augmented views of the training clips; the epochs of a head take them in turn."""


@dataclass(frozen=True)
class Features:
    """What a head is trained on.

    Attributes:
        train_VNTD: Augmented views of the training clips.
        train_label_N: Their labels.
        val_NTD: Plain views of the validation clips.
        val_label_N: Their labels.
    """

    train_VNTD: Tensor
    train_label_N: Tensor
    val_NTD: Tensor
    val_label_N: Tensor


def cached_features(model: VideoModel, train: Loader, val: Loader, *, precision: str, cache: Path | None) -> Features:
    """Read the features from the file ``cache``, or extract them and write it.

    The caller names ``cache`` by all that decides its content: weights, clips, augmentation, precision. Processes that
    want the same file at once wait for the first. A file that is damaged is made again.
    """
    if cache is None:
        return extract_features(model, train, val, precision=precision)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_name(f"{cache.name}.lock")):
        if (features := _read(cache)) is None:
            features = extract_features(model, train, val, precision=precision)
            with replacing(cache) as temporary:
                save_file(vars(features), temporary)
    device = next(model.parameters()).device
    return Features(**{name: tensor.to(device) for name, tensor in vars(features).items()})


def extract_features(model: VideoModel, train: Loader, val: Loader, *, precision: str) -> Features:
    """Run the frozen backbone over :data:`NUM_VIEWS` epochs of ``train`` and one of ``val``.

    On a CPU batches run side by side, each on one thread: the result is the same on any number of cores, and the cores
    are used better than by many threads on one batch.
    """
    was_training = model.training
    model.eval()
    with _one_thread_each():
        views = [_extract(model, train, view, precision) for view in range(NUM_VIEWS)]
        val_NTD, val_label_N = _extract(model, val, 0, precision)
    model.train(was_training)
    return Features(torch.stack([features_NTD for features_NTD, _ in views]), views[0][1], val_NTD, val_label_N)


def plain_features(model: VideoModel, loader: Loader) -> Tensor:
    """Run the frozen backbone over epoch 0 of ``loader`` in fp32, on a CPU as :func:`extract_features` does.

    Returns:
        ``features_NTD`` in the order of the loader's table.
    """
    was_training = model.training
    model.eval()
    with _one_thread_each():
        features_NTD, _ = _extract(model, loader, 0, "fp32")
    model.train(was_training)
    return features_NTD


def _read(cache: Path) -> Features | None:
    try:
        return Features(**load_file(cache))
    except FileNotFoundError:
        return None
    except (SafetensorError, TypeError, OSError) as error:
        logger.warning("%s is damaged (%s): extracting the features again", cache.name, error)
        return None


@contextmanager
def _one_thread_each() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def _extract(model: VideoModel, loader: Loader, epoch: int, precision: str) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    num_workers = (os.cpu_count() or 1) if device.type == "cpu" else 1

    def run(batch: Batch) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return model.features(batch.clip_BCTHW).float()

    label_N = torch.empty(loader.num_clips, dtype=torch.long, device=device)
    features_NTD = torch.empty(0)
    batches = tqdm(loader.epoch(epoch), f"features {epoch + 1}", len(loader), leave=False, disable=None)
    with ThreadPoolExecutor(num_workers, thread_name_prefix="features") as executor:
        for batch, features_BTD in _in_order(executor, run, batches, ahead=2 * num_workers):
            if not features_NTD.numel():
                features_NTD = torch.empty((loader.num_clips, *features_BTD.shape[1:]), device=device)
            features_NTD[batch.index_B] = features_BTD
            label_N[batch.index_B] = batch.label_B
    return features_NTD, label_N


def _in_order(
    executor: ThreadPoolExecutor, run: Callable[[Batch], Tensor], batches: Iterable[Batch], ahead: int
) -> Iterator[tuple[Batch, Tensor]]:
    pending: deque[tuple[Batch, Future[Tensor]]] = deque()
    for batch in batches:
        pending.append((batch, executor.submit(run, batch)))
        if len(pending) > ahead:
            done, future = pending.popleft()
            yield done, future.result()
    for done, future in pending:
        yield done, future.result()
