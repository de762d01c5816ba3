"""A small dataset half of whose clips have no label, and what a model made of it."""

from pathlib import Path

import numpy as np
import pandas as pd

from models.clips.label_sets import NOTHING
from models.clips.manifest import read_manifest
from tasks.dataset import store_clips
from tasks.labelling.outputs import Outputs
from tasks.params.data import SplitParams
from tests.support.dataset import write_dataset

SPLIT, SEED = SplitParams(), 0
HOSTILE_SOURCE = "=cmd|' /C calc'!A0 <img src=x onerror=alert(1)> \u202etxt"


def write_half_labelled(data: Path, labels: tuple[str, ...] = ("left", "right"), source: str = "new") -> pd.DataFrame:
    """Write a dataset with 10 clips a label, and as many without: of cam0 the source ``new0``, and so on.

    An unlabelled clip's ``sha256`` says what it shows.
    """
    write_dataset(data, labels)
    clips = read_manifest(data / "manifest.parquet").astype({"label": object, "split": object})
    unlabelled = clips["clip_id"].str.endswith(("-2", "-3"))
    clips["sha256"] = clips["label"]
    clips.loc[unlabelled, "source_id"] = source + clips.loc[unlabelled, "source_id"].str.removeprefix("cam")
    clips.loc[unlabelled, ["label", "split"]] = None
    clips["clip_id"] = [f"{clip_id[:4]}-{number:03}" for number, clip_id in enumerate(clips["clip_id"])]
    clips["uri"] = clips["clip_id"] + ".mp4"
    clips["captured_at"] = pd.Timestamp("2026-01-02T03:04:05Z")
    store_clips(clips, data, SPLIT, SEED)
    return read_manifest(data / "manifest.parquet")


def with_sets(data: Path) -> pd.DataFrame:
    """Make that dataset one of several labels a clip: of its labelled clips half show both, or none."""
    clips = read_manifest(data / "manifest.parquet")
    is_labelled = clips["label"].notna()
    labels = clips.loc[is_labelled, "label"].to_numpy(object)
    labels[::4], labels[1::4] = "left|right", NOTHING
    clips.loc[is_labelled, "label"] = labels
    store_clips(clips.assign(labels=None), data, SPLIT, SEED)
    return read_manifest(data / "manifest.parquet")


def outputs_of(clips: pd.DataFrame, labels: list[str], *, features: int = 16, seed: int = 0) -> Outputs:
    """Random embeddings and probabilities of ``clips``."""
    rng = np.random.default_rng(seed)
    facts = clips[["clip_id", "source_id", "captured_at"]].reset_index(drop=True)
    embedding_ND = rng.normal(size=(len(clips), features)).astype(np.float32)
    probability_NK = rng.dirichlet(np.ones(len(labels)), len(clips)).astype(np.float32)
    return Outputs(facts, embedding_ND, probability_NK, labels)
