"""The clips that a model is measured on, and the model's way to them.

Legend: N clips, K classes.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from models.build import VideoModel
from models.clips.label_sets import is_multi_label, wanted_of
from models.clips.loader import ClipLoader
from models.clips.manifest import labels_of
from models.clips.sampling import CENTRE, View
from models.errors import UserError
from tasks.remote_shards import shards_of


@dataclass(frozen=True)
class Split:
    """Labelled clips of a split.

    Attributes:
        clips: Rows of the manifest, by ``clip_id``.
        labels: Of the model, in order.
        label_N: The class of each clip; empty where it may have several labels.
        wanted_NK: Its labels; empty where it has one class.
        source_N: Its source.
    """

    clips: pd.DataFrame
    labels: list[str]
    label_N: NDArray[np.int64]
    wanted_NK: NDArray[np.bool_]
    source_N: NDArray[np.object_]

    @classmethod
    def of(cls, clips: pd.DataFrame, labels: list[str]) -> "Split":
        """The split of ``clips``, rows of the manifest."""
        index_of = {label: index for index, label in enumerate(labels)}
        label_N, wanted_NK = np.empty(0, np.int64), np.empty((0, len(labels)), bool)
        if is_multi_label(clips):
            wanted_NK = wanted_of(clips, labels)
        else:
            label_N = np.array([index_of[label] for label in clips["label"]])
        return cls(clips, labels, label_N, wanted_NK, clips["source_id"].to_numpy())


def splits_of(manifest: pd.DataFrame, labels: list[str], path: Path, *, multi_label: bool) -> dict[str, Split]:
    """Train, val and test.

    Args:
        manifest: Of the dataset.
        labels: The model's, in order.
        path: The manifest's, for messages.
        multi_label: Whether the model names any number of labels a clip.

    Raises:
        UserError: A split has no labelled clips, or the model does not fit the dataset.
    """
    if is_multi_label(manifest) != multi_label:
        raise UserError(f"{path}: labels: the model was made for another ingest.multi_label; run `dvc repro fine_tune`")
    if unknown := sorted(set(labels_of(manifest)) - set(labels)):
        raise UserError(f"{path}: label: the model does not know {unknown[0]!r}; run `dvc repro fine_tune` first")
    splits = {}
    for name in ("train", "val", "test"):
        clips = manifest[(manifest["split"] == name) & manifest["label"].notna()]
        if clips.empty:
            raise UserError(
                f"{path}: split: no labelled clip is in {name}; ingest more sources, or change section split of "
                "params.yaml and ingest again"
            )
        if not labels_of(clips):
            raise UserError(
                f"{path}: labels: no clip in {name} has any label, so that nothing can be ranked there; ingest more "
                "sources, or change section split of params.yaml and ingest again"
            )
        splits[name] = Split.of(clips.sort_values("clip_id", ignore_index=True), labels)
    if len(labels_of(splits["train"].clips)) < 2:
        raise UserError(f"{path}: split: train has clips of a single label; ingest more sources")
    return splits


def to_device(model: VideoModel) -> torch.device:
    """Bring ``model`` to the fastest device that is here."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    return device


def loader_of(split: Split, data: Path, model: VideoModel, batch_size: int, view: View = CENTRE) -> ClipLoader:
    """The clips of ``split`` as ``model`` takes them, on its device."""
    return ClipLoader(
        data,
        split.clips,
        split.labels,
        model.clip_input,
        batch_size,
        view=view,
        num_workers=min(os.cpu_count() or 1, 8),
        device=next(model.parameters()).device,
        shards=shards_of(data),
    )
