"""Fine-tune the model with the search's best values: ``python -m tasks.fine_tune``."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from models.build import VideoModel, build_model
from models.clips.loader import ClipLoader
from models.clips.manifest import labels_of, read_manifest
from models.digest import tensors_digest
from models.errors import UserError
from models.features import NUM_VIEWS
from models.files import replacing
from models.loop import Epoch, fit
from models.saved import save_model
from models.spec import FineTuneParams, ModelParams
from tasks import layout
from tasks.overrides import apply_overrides
from tasks.params import BaseParams, FinalJobParams, load_params
from tasks.process import run_stage
from tasks.settings import settings
from tasks.tracking import tracked

logger = logging.getLogger(__name__)

_CURVES = ["epoch", "phase", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"]


def fine_tune(
    base: BaseParams,
    model: ModelParams,
    fine_tune: FinalJobParams,
    *,
    data: Path = layout.DATA,
    best_params: Path = layout.BEST_PARAMS,
    out: Path = layout.MODEL,
    curves: Path = layout.CURVES,
) -> None:
    """Train the model that is kept, and write it and its learning curves.

    A run that was killed goes on from its newest checkpoint, which belongs to exactly these inputs.

    Args:
        base: Name and seed.
        model: Which network.
        fine_tune: The job; the fields in its ``from_search`` are taken from ``best_params``.
        data: The dataset's folder.
        best_params: What the search found.
        out: Folder of the model.
        curves: Table of the epochs.

    Raises:
        UserError: The data or the search's result are missing or do not fit the parameters, or training diverges.
    """
    found = _searched(best_params, fine_tune.from_search)
    params = FineTuneParams.model_validate(fine_tune.model_dump(exclude={"from_search"}))
    model, params = apply_overrides(model, params, found)
    checkpoint = settings().home / "checkpoints" / job_key(model, params, data, seed=base.seed)
    with tracked("fine_tune", base.name) as tracker:
        tracker.params({**_flat("model", model.model_dump()), **_flat("fine_tune", params.model_dump())})
        trained, labels, epochs = job(
            model,
            params,
            data,
            seed=base.seed,
            checkpoint=checkpoint,
            feature_cache=settings().home / "features",
            on_epoch=lambda epoch: tracker.metrics(_metrics(epoch), step=epoch.epoch),
        )
        tracker.params({"num_parameters": sum(weights.numel() for weights in trained.parameters())})
    _write_curves(epochs, curves)
    save_model(out, trained, model, labels)
    shutil.rmtree(checkpoint, ignore_errors=True)


def job(
    model: ModelParams,
    params: FineTuneParams,
    data: Path,
    *,
    seed: int,
    checkpoint: Path | None = None,
    feature_cache: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[VideoModel, list[str], list[Epoch]]:
    """One fine-tuning job, for the model that is kept and for a search's trial alike.

    Args:
        model: Which network.
        params: The job.
        data: The dataset's folder; its splits ``train`` and ``val`` are used.
        seed: Of weights, order, augmentation and dropout.
        checkpoint: Folder of this job's checkpoints; see :func:`job_key`.
        feature_cache: Folder that jobs share for features of frozen backbones.
        on_epoch: Called after each epoch; may raise :class:`models.loop.StopTraining`.

    Returns:
        The model with its best weights, the labels in the order of its classes, all epochs.

    Raises:
        UserError: The data are missing or too few, the model is unknown, or training diverges.
    """
    manifest = read_manifest(data / layout.MANIFEST.name)
    labels = _labels(manifest, data)
    train_clips, val_clips = _split(manifest, "train", data), _split(manifest, "val", data)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_model(model, len(labels), seed=seed).to(device)

    def loader(clips: pd.DataFrame, **options: Any) -> ClipLoader:
        return ClipLoader(
            data,
            clips,
            labels,
            network.clip_input,
            params.batch_size,
            seed=seed,
            num_workers=min(os.cpu_count() or 1, 8),
            device=device,
            **options,
        )

    key = _features_key(network, model, params, [train_clips, val_clips], labels, seed)
    epochs = fit(
        network,
        loader(train_clips, augment=params.augment, shuffle=True),
        loader(val_clips),
        params,
        seed=seed,
        checkpoint=checkpoint,
        feature_cache=feature_cache and feature_cache / f"{key}.safetensors",
        on_epoch=on_epoch,
    )
    return network, labels, epochs


def job_key(model: ModelParams, params: FineTuneParams, data: Path, *, seed: int) -> str:
    """Hash of all that decides a job's weights: a checkpoint under this name belongs to this job and no other."""
    weights = Path(model.weights)
    return _hash(
        model.model_dump(mode="json"),
        params.model_dump(mode="json"),
        seed,
        _sha256(data / layout.MANIFEST.name),
        _sha256(weights) if weights.is_file() else None,
        _arithmetic(),
    )


def main() -> None:
    """The stage."""
    params = load_params()
    fine_tune(params.base, params.model, params.fine_tune)


def _searched(best_params: Path, wanted: tuple[str, ...]) -> dict[str, Any]:
    if not wanted:
        return {}
    try:
        values: dict[str, Any] = json.loads(best_params.read_text(encoding="utf-8"))["values"]
    except FileNotFoundError:
        raise UserError(
            f"{best_params}: the search's result is missing; run `dvc repro search`, "
            "or empty fine_tune.from_search in params.yaml"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{best_params}: this is not a search's result; run `dvc repro --force search`") from None
    if missing := [field for field in wanted if field not in values]:
        raise UserError(
            f"params.yaml: fine_tune.from_search: {missing[0]} was not searched; add it to search.space, "
            "or take it off this list"
        )
    return {field: values[field] for field in wanted}


def _labels(manifest: pd.DataFrame, data: Path) -> list[str]:
    labels = labels_of(manifest)
    if len(labels) < 2:
        raise UserError(
            f"{data / layout.MANIFEST.name}: label: {len(labels)} label is too few to tell apart; "
            "ingest clips of at least two labels"
        )
    return labels


def _split(manifest: pd.DataFrame, split: str, data: Path) -> pd.DataFrame:
    clips = manifest[(manifest["split"] == split) & manifest["label"].notna()]
    if clips.empty:
        raise UserError(
            f"{data / layout.MANIFEST.name}: split: no labelled clip is in {split}; ingest more sources, "
            "or change section split of params.yaml and ingest again"
        )
    return clips


def _features_key(
    network: VideoModel,
    model: ModelParams,
    params: FineTuneParams,
    clips: list[pd.DataFrame],
    labels: list[str],
    seed: int,
) -> str:
    return _hash(
        model.family,
        model.flavour,
        tensors_digest(network.backbone.state_dict()),
        [table[["clip_id", "shard", "row", "label"]].to_dict("list") for table in clips],
        labels,
        params.augment.model_dump(mode="json"),
        params.batch_size,
        params.precision,
        seed,
        NUM_VIEWS,
        _arithmetic(),
    )


def _arithmetic() -> list[str]:
    # Sums differ in their last bits between processors and releases.
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else torch.backends.cpu.get_cpu_capability()
    return [torch.__version__, where]


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flat(prefix: str, content: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(f"{prefix}.{key}", value) if isinstance(value, Mapping) else {f"{prefix}.{key}": value}
    return flat


def _metrics(epoch: Epoch) -> dict[str, float]:
    names = ["train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    return {name: getattr(epoch, name) for name in names}


def _write_curves(epochs: list[Epoch], curves: Path) -> None:
    table = pd.DataFrame([{name: getattr(epoch, name) for name in _CURVES} for epoch in epochs])
    with replacing(curves) as temporary:
        table.to_csv(temporary, index=False)


if __name__ == "__main__":
    run_stage(main)
