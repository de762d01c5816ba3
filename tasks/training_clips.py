"""Which clips a job trains on and validates on, and which classes it tells apart."""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from models.champion import Champion
from models.clips.manifest import labels_of, read_manifest
from models.clips.rehearsal import rehearsed
from models.errors import UserError
from models.spec import ContinualParams
from tasks import layout


@dataclass(frozen=True)
class TrainingClips:
    """What a job is made with.

    Attributes:
        labels: Classes in the model's order.
        train: Clips to train on.
        val: Clips to validate on.
        memory: Those of ``train`` that the champion knows.
    """

    labels: list[str]
    train: pd.DataFrame
    val: pd.DataFrame
    memory: pd.DataFrame


def training_clips(data: Path, continual: ContinualParams, champion: Champion | None, *, seed: int) -> TrainingClips:
    """Choose a job's clips: all there are, or with a champion those new to it and a memory of the others.

    Old clips have the same share in validation as in training, so that the best epoch is best at both. Where no clip
    is new, all are used.

    Args:
        data: The dataset's folder.
        continual: Size of the memory, and what becomes of classes without clips.
        champion: What the job starts from.
        seed: Of the memory's draw.

    Raises:
        UserError: The data are missing or too few.
    """
    path = data / layout.MANIFEST.name
    manifest = read_manifest(path)
    labels = _labels(manifest, path)
    train, val = _split(manifest, "train", path), _split(manifest, "val", path)
    if champion is None:
        return TrainingClips(labels, train, val, train.iloc[:0])
    if continual.vanished == "keep":
        labels = sorted({*labels, *champion.labels})
    num_new = int((~train["clip_id"].isin(champion.clip_ids)).sum())
    if num_new:
        size = continual.rehearsal.clips
        num_new_val = int((~val["clip_id"].isin(champion.clip_ids)).sum())
        train = rehearsed(train, champion.clip_ids, size, seed=seed)
        val = rehearsed(val, champion.clip_ids, math.ceil(size * num_new_val / num_new), seed=seed)
    return TrainingClips(labels, train, val, train[train["clip_id"].isin(champion.clip_ids)])


def labelled_clip_ids(data: Path) -> set[str]:
    """Every labelled clip of the dataset."""
    manifest = read_manifest(data / layout.MANIFEST.name)
    return set(manifest.loc[manifest["label"].notna(), "clip_id"])


def _labels(manifest: pd.DataFrame, path: Path) -> list[str]:
    labels = labels_of(manifest)
    if len(labels) < 2:
        raise UserError(
            f"{path}: label: {len(labels)} label is too few to tell apart; ingest clips of at least two labels"
        )
    return labels


def _split(manifest: pd.DataFrame, split: str, path: Path) -> pd.DataFrame:
    clips = manifest[(manifest["split"] == split) & manifest["label"].notna()]
    if clips.empty:
        raise UserError(
            f"{path}: split: no labelled clip is in {split}; ingest more sources, "
            "or change section split of params.yaml and ingest again"
        )
    return clips
