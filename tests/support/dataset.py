"""A small dataset made from arrays: a bright square that moves right or left, before one background a source."""

from pathlib import Path

import numpy as np
import pandas as pd
import simplejpeg

from models.clips.manifest import write_manifest
from models.clips.shards import StoredClip, write_shard

NUM_FRAMES, SIDE, SQUARE = 8, 40, 12
SPLIT_OF = {"cam0": "train", "cam1": "train", "cam2": "train", "cam3": "val", "cam4": "test"}


def write_dataset(folder: Path, labels: tuple[str, ...] = ("left", "right"), clips_per_source: int = 4) -> Path:
    """Write ``manifest.parquet`` and one shard; each source has ``clips_per_source`` clips of each label."""
    (folder / "shards").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = [
        {"clip_id": f"{source}-{label}-{number}", "source_id": source, "label": label, "split": split}
        for source, split in SPLIT_OF.items()
        for label in labels
        for number in range(clips_per_source)
    ]
    clips = [
        StoredClip(row["clip_id"], SIDE, SIDE, [0.1 * t for t in range(NUM_FRAMES)], _frames(row["label"], rng))
        for row in rows
    ]
    places = write_shard(folder / "shards", clips)
    facts = {
        "uri": "made", "sha256": "0", "start_s": 0.0, "end_s": 0.8, "captured_at": None, "codec": "h264",
        "width": SIDE, "height": SIDE, "fps": 10.0, "frames": NUM_FRAMES, "rotation": 0, "brightness": 100.0,
        "contrast": 10.0, "sharpness": 1.0, "motion": 1.0,
    }  # fmt: skip
    manifest = pd.DataFrame(
        [{**facts, **row, "shard": shard, "row": at} for row, (shard, at) in zip(rows, places, strict=True)]
    )
    manifest["captured_at"] = pd.to_datetime(manifest["captured_at"], utc=True)
    write_manifest(manifest, folder / "manifest.parquet")
    return folder


def _frames(label: str, rng: np.random.Generator) -> list[bytes]:
    background = rng.integers(0, 80, (SIDE, SIDE, 3), dtype=np.uint8)
    top = int(rng.integers(0, SIDE - SQUARE))
    columns = np.linspace(0, SIDE - SQUARE, NUM_FRAMES).astype(int)
    frames = []
    for column in reversed(columns) if label == "left" else columns:
        frame = background.copy()
        frame[top : top + SQUARE, column : column + SQUARE] = 230
        frames.append(simplejpeg.encode_jpeg(frame, quality=90))
    return frames
