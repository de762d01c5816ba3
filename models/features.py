"""Features of a frozen backbone, extracted once and kept as a file, so that training a head takes seconds.

Shapes: V views, N clips, T steps, D features.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.build import VideoModel
from models.digest import tensors_digest
from models.files import replacing
from models.inference import Loader, infer

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
    want the same file at once wait for the first. A file that is damaged is made again; without room for it, training
    goes on without.
    """
    if cache is None:
        return extract_features(model, train, val, precision=precision)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_name(f"{cache.name}.lock")):
        if (features := _read(cache)) is None:
            features = extract_features(model, train, val, precision=precision)
            _write(features, cache)
    device = next(model.parameters()).device
    return Features(**{name: tensor.to(device) for name, tensor in vars(features).items()})


def extract_features(model: VideoModel, train: Loader, val: Loader, *, precision: str) -> Features:
    """Run the frozen backbone over :data:`NUM_VIEWS` epochs of ``train`` and one of ``val``."""
    bf16 = precision == "bf16"
    views = [
        infer(model, model.features, train, view, title=f"view {view + 1}", bf16=bf16) for view in range(NUM_VIEWS)
    ]
    val_NTD, val_label_N = infer(model, model.features, val, title="validation", bf16=bf16)
    return Features(torch.stack([features_NTD for features_NTD, _ in views]), views[0][1], val_NTD, val_label_N)


def plain_features(model: VideoModel, loader: Loader) -> Tensor:
    """``features_NTD`` of epoch 0 of ``loader`` in fp32, in the order of its table."""
    return infer(model, model.features, loader, title="features")[0]


def _read(cache: Path) -> Features | None:
    try:
        with safe_open(cache, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            if file.metadata() != {"sha256": tensors_digest(tensors)}:
                raise ValueError("its content is not what was written")
        cache.touch()  # those used last are kept
        return Features(**tensors)
    except FileNotFoundError:
        return None
    except (SafetensorError, ValueError, TypeError, OSError) as error:
        logger.warning("%s is damaged (%s): extracting the features again", cache.name, error)
        return None


def _write(features: Features, cache: Path) -> None:
    tensors = {name: tensor.cpu().contiguous() for name, tensor in vars(features).items()}
    try:
        with replacing(cache) as temporary:
            save_file(tensors, temporary, {"sha256": tensors_digest(tensors)})
    except (OSError, SafetensorError) as error:
        logger.warning("the features are not kept (%s): going on without", error)
