"""A dataset of many clips whose frames nobody looks at: its table, manifest, shards, labels and embeddings.

Clips are two seconds long and follow each other, 100 a file; a source has two files, and all of 20 classes.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import simplejpeg

from models.clips.manifest import write_manifest
from models.clips.shards import StoredClip, write_shard
from tasks.params.data import SplitParams
from tasks.split import assign_splits
from tasks.video.clips import Recipe, Segment
from tasks.video.identity import clip_id_of
from tasks.video.shelf import storage_key

RECIPE = Recipe(short_side=128, max_fps=15.0, jpeg_quality=90, min_duration_s=0.5, max_duration_s=30.0)
CLIPS_PER_FILE, CLIPS_PER_SOURCE, NUM_LABELS, CLIPS_PER_SHARD = 100, 200, 20, 256
_DURATION_S = 2.0


@dataclass(frozen=True)
class World:
    """Where everything lies, in one folder.

    Attributes:
        folder: Of all.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """The dataset."""
        return self.folder / "data"

    @property
    def table(self) -> Path:
        """What a person would hand over."""
        return self.folder / "source" / "clips.csv"

    @property
    def labels(self) -> Path:
        """The label table: every tenth clip."""
        return self.folder / "person_labels.csv"


def write_world(folder: Path, num_clips: int) -> World:
    """Write ``num_clips`` clips; what is there already stays."""
    world = World(folder)
    if (world.data / "manifest.parquet").exists():
        return world
    clips = described(num_clips)
    _write_source(clips, world.table)
    clips["clip_id"] = [
        clip_id_of(sha256, Segment(start_s, end_s))
        for sha256, start_s, end_s in zip(clips["sha256"], clips["start_s"], clips["end_s"], strict=True)
    ]
    clips["split"] = assign_splits(clips.assign(split=None), SplitParams(), seed=0)
    clips["shard"], clips["row"] = _written(clips, world.data / "shards")
    write_manifest(clips, world.data / "manifest.parquet")
    clips.iloc[::10][["clip_id", "label"]].to_csv(world.labels, index=False)
    return world


def described(num_clips: int, *, first: int = 0) -> pd.DataFrame:
    """Clips as a manifest has them, without identity, place and split; ``first`` begins elsewhere in the same world."""
    rng = np.random.default_rng(first)
    number_N = np.arange(first, first + num_clips)
    file_N = number_N // CLIPS_PER_FILE
    hashes = {file: hashlib.sha256(str(file).encode()).hexdigest() for file in np.unique(file_N).tolist()}
    start_N = _DURATION_S * (number_N % CLIPS_PER_FILE)
    return pd.DataFrame(
        {
            "source_id": [f"camera-{source:05}" for source in number_N // CLIPS_PER_SOURCE],
            "uri": [f"files/{file:06}.mp4" for file in file_N],
            "sha256": [hashes[file] for file in file_N.tolist()],
            "label": [f"action-{label:02}" for label in rng.integers(NUM_LABELS, size=num_clips)],
            "label_origin": None,
            "start_s": start_N,
            "end_s": start_N + _DURATION_S,
            "captured_at": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(file_N * 200, unit="s"),
            "codec": "h264",
            "width": 320,
            "height": 240,
            "fps": 25.0,
            "frames": 30,
            "rotation": 0,
            "brightness": rng.uniform(60, 180, num_clips),
            "contrast": rng.uniform(20, 60, num_clips),
            "sharpness": rng.uniform(50, 500, num_clips),
            "motion": rng.uniform(1, 9, num_clips),
        }
    )


def embedded(num_clips: int, num_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, D) and probabilities (N, K) of clips around one direction a class."""
    rng = np.random.default_rng(0)
    centre_KD = 3 * rng.normal(size=(NUM_LABELS, num_features)).astype(np.float32)
    label_N = rng.integers(NUM_LABELS, size=num_clips)
    embedding_ND = centre_KD[label_N] + rng.standard_normal((num_clips, num_features), np.float32)
    score_NK = rng.standard_normal((num_clips, NUM_LABELS), np.float32)
    score_NK[np.arange(num_clips), label_N] += 3
    score_NK = np.exp(score_NK)
    return embedding_ND, score_NK / score_NK.sum(1, keepdims=True)


def _write_source(clips: pd.DataFrame, table: Path) -> None:
    (table.parent / "files").mkdir(parents=True, exist_ok=True)
    for uri in clips["uri"].unique():
        (table.parent / uri).write_bytes(b"\0")
    columns = ["uri", "label", "source_id", "start_s", "end_s", "captured_at"]
    clips[columns].rename(columns={"uri": "path"}).to_csv(table, index=False)


def _written(clips: pd.DataFrame, folder: Path) -> tuple[list[str], list[int]]:
    folder.mkdir(parents=True, exist_ok=True)
    frame = simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    probed = clips[["start_s", "end_s", "codec", "width", "height", "fps", "rotation", "frames"]]
    measured = clips[["brightness", "contrast", "sharpness", "motion"]]
    places: list[tuple[str, int]] = []
    for first in range(0, len(clips), CLIPS_PER_SHARD):
        rows = slice(first, first + CLIPS_PER_SHARD)
        facts = probed[rows].join(measured[rows]).to_dict("records")
        stored = [
            StoredClip(clip_id, 8, 8, [0.0], [frame], json.dumps(of_clip, sort_keys=True))
            for clip_id, of_clip in zip(clips["clip_id"][rows], facts, strict=True)
        ]
        places += write_shard(folder, stored, storage_key(RECIPE))
    return [shard for shard, _ in places], [row for _, row in places]
