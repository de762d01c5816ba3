"""One fine-tuning job, for the model that is kept and for a search's trial alike."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from models.adapters.adapter import add_adapters
from models.adapters.method import attach
from models.build import VideoModel, build_model
from models.champion import Champion, hand_over, load_champion
from models.clips.label_sets import is_multi_label, one_row_a_label
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.digest import tensors_digest
from models.errors import UserError
from models.features import NUM_VIEWS
from models.file_digest import sha256_of
from models.loop import Epoch, fit
from models.objectives.build import build_continual_objective, build_objective, near_start
from models.objectives.objective import Total
from models.objectives.teacher import taught
from models.processes import Group
from models.saved import load_model
from models.spec import ContinualParams, FineTuneParams, ModelParams, PretrainParams
from models.stochastic_depth import stochastic_depth
from models.weights import weights_file
from tasks import layout
from tasks.champion_note import start_key
from tasks.remote_shards import shards_of
from tasks.teacher import teacher_folder, teacher_note
from tasks.training_clips import TrainingClips, training_clips


def job(
    model: ModelParams,
    params: FineTuneParams,
    data: Path,
    *,
    seed: int,
    continual: ContinualParams | None = None,
    champion: Path | None = None,
    checkpoint: Path | None = None,
    checkpoint_s: float = 300.0,
    group: Group | None = None,
    feature_cache: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[VideoModel, list[str], list[Epoch]]:
    """Train a model.

    Args:
        model: Which network.
        params: The job.
        data: The dataset's folder; its splits ``train`` and ``val`` are used.
        seed: Of weights, order, augmentation, dropout and the memory of earlier clips.
        continual: How a champion is trained on; default: as the section's defaults say.
        champion: Folder of the model to start from; None for a cold start.
        checkpoint: Folder of this job's checkpoints; see :func:`job_key`.
        checkpoint_s: Seconds after which one is written within an epoch.
        group: The processes that train together, each of which calls this; default: this one alone.
        feature_cache: Folder that jobs share for features of frozen backbones.
        on_epoch: Called after each epoch; may raise :class:`models.loop.StopTraining`.

    Returns:
        The model with its best weights, changes of weights folded in, the labels in the order of its classes, all
        epochs.

    Raises:
        UserError: The data are missing or too few, the model is unknown, or training diverges.
    """
    continual = continual or ContinualParams()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    multi_label = is_multi_label(read_manifest(data / layout.MANIFEST.name))
    before = load_champion(champion, model, multi_label=multi_label) if champion else None
    clips = training_clips(data, continual, before, seed=seed)
    network = _network(model, clips.labels, before, seed).to(device)
    network.multi_label = multi_label
    shards = shards_of(data)

    def loader(table: pd.DataFrame, **options: Any) -> ClipLoader:
        return ClipLoader(
            data,
            table,
            clips.labels,
            network.clip_input,
            params.batch_size,
            seed=seed,
            num_workers=min(os.cpu_count() or 1, 8),
            device=device,
            shards=shards,
            **options,
        )

    key = _features_key(network, model, params, [clips.train, clips.val], clips.labels, seed)
    attached = attach(network, params, seed=seed)
    count_K = _counts(clips).to(device)
    if before is None:
        objective = build_objective(params, count_K, multi_label=multi_label)
    else:
        before.model.to(device)
        memory = loader(clips.memory) if len(clips.memory) else None
        objective = build_continual_objective(
            params, continual, network, clips.labels, before, memory, seed=seed, count_K=count_K
        )
    if params.l2_sp:
        objective = Total([objective, near_start(network, params.l2_sp)])
    with ExitStack() as around:
        around.enter_context(stochastic_depth(network.backbone, params.stochastic_depth))
        if folder := teacher_folder(params.teacher):
            teacher, card = load_model(folder)
            _check_teacher(teacher, multi_label)
            teacher.temperature = 1.0  # a student is taught by the scores that were trained
            lessons = taught(network, clips.labels, teacher.to(device), card["labels"], params.teacher, seed=seed)
            objective = Total([objective, around.enter_context(lessons)])
        epochs = fit(
            network,
            loader(clips.train, augment=params.augment, shuffle=True, shuffled_shards=params.shuffled_shards),
            loader(clips.val),
            params,
            seed=seed,
            objective=objective,
            checkpoint=checkpoint,
            checkpoint_s=checkpoint_s,
            group=group,
            feature_cache=feature_cache and feature_cache / f"{key}.safetensors",
            on_epoch=on_epoch,
        )
    attached.merge()
    return network, clips.labels, epochs


def _counts(clips: TrainingClips) -> torch.Tensor:
    """Training clips of each class."""
    counts = one_row_a_label(clips.train)["label"].value_counts().reindex(clips.labels, fill_value=0)
    return torch.tensor(counts.to_numpy())


def _check_teacher(teacher: VideoModel, multi_label: bool) -> None:
    if teacher.multi_label != multi_label:
        raise UserError(
            "params.yaml: fine_tune.teacher.model: of the teacher and the dataset one has a single class a clip and "
            "the other any number of labels; take another teacher"
        )


def job_key(
    model: ModelParams,
    params: FineTuneParams,
    data: Path,
    *,
    seed: int,
    continual: ContinualParams | None = None,
    champion: Path | None = None,
) -> str:
    """Hash of all that decides a job's weights: a checkpoint under this name belongs to this job and no other."""
    return _hash(
        *_asked(model, params, data, seed, None if champion else weights_file(model)),
        start_key(continual, champion),
        teacher_note(params.teacher),
        _arithmetic(),
    )


def pretraining_key(model: ModelParams, params: PretrainParams, data: Path, *, seed: int) -> str:
    """The same for the weights that pretraining yields."""
    return _hash(*_asked(model, params, data, seed, weights_file(model)), _arithmetic())


def _asked(
    model: ModelParams, params: FineTuneParams | PretrainParams, data: Path, seed: int, weights: Path | None
) -> list[Any]:
    """What decides the weights of any training."""
    return [
        model.model_dump(mode="json"),
        params.model_dump(mode="json"),
        seed,
        sha256_of(data / layout.MANIFEST.name),
        sha256_of(weights) if weights else None,
    ]


def _network(model: ModelParams, labels: list[str], champion: Champion | None, seed: int) -> VideoModel:
    if champion is None:
        return build_model(model, len(labels), seed=seed)
    network = build_model(model.model_copy(update={"weights": "none"}), len(labels), seed=seed)
    for added in champion.model.added:
        add_adapters(network, added, seed=seed)
    hand_over(champion, network, labels)
    return network


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
