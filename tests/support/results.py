"""The results of a round as its stages would leave them, without any training: what the report reads."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import simplejpeg

from models.build import build_model
from models.clips.manifest import write_manifest
from models.clips.shards import StoredClip, write_shard
from models.saved import save_model
from models.spec import ModelParams
from tasks import layout
from tasks.labelling.outputs import Outputs
from tasks.statistics.calibration import reliability
from tasks.watch.outputs import write_watched

LABELS = ["bow", "fall", "jump", "sit down", "stand up", "walk"]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=HYPERLINK(0)",
    "\u202etxt.exe",
    "{{ 7 * 7 }} $\\frac{1}",
    "日本語 ✓",
]
SPLIT_OF = {**dict.fromkeys(["cam 0", "cam 1", "cam 2"], "train"), "cam 3": "val", "cam 4": "test", "cam 5": "test"}
MODEL = ModelParams(family="efficientnet_lite0", flavour="debug")
NUM_FRAMES, WIDTH, HEIGHT = 8, 64, 48


def write_results(root: Path, labels: list[str] = LABELS, *, accuracy: float = 0.7, clips_per_class: int = 3) -> Path:
    """Write data and results of every stage before the report.

    Args:
        root: The workspace.
        labels: The classes; they also name sources and refused files.
        accuracy: Share of clips for which the model's random probabilities favour the truth.
        clips_per_class: In each source.
    """
    rng = np.random.default_rng(0)
    labels = sorted(labels)
    manifest = _write_data(root / layout.DATA, labels, clips_per_class, rng)
    predictions = _predictions(manifest, labels, accuracy, rng)
    test = predictions[predictions["split"] == "test"]
    _write_table(root / layout.PREDICTIONS, predictions)
    _write_table(
        root / layout.QUARANTINE, pd.DataFrame({"path": labels, "reason": [f"not a video: {labels[0]}"] * len(labels)})
    )
    bins = reliability(test["confidence"].to_numpy(), test["correct"].to_numpy(), 15)
    _write_csv(root / layout.RELIABILITY, bins)
    _write_csv(root / layout.CURVES, _curves())
    write_search(root)
    _write_json(root / layout.METRICS, _metrics(test, labels))
    _write_json(root / layout.VALIDATION, {
        "success": True, "clips": len(manifest), "sources": len(SPLIT_OF), "classes": len(labels),
        "expectations": [{"table": "clips", "expectation": "every clip has a label", "success": True}],
    })  # fmt: skip
    save_model(root / layout.MODEL, build_model(MODEL, len(labels), seed=0), MODEL, labels)
    write_watched(_seen(manifest, labels, rng), root / layout.REFERENCE, weights_sha256="0")
    return root


def write_search(root: Path = Path()) -> None:
    """Write the results of a search that never was."""
    _write_csv(root / layout.TRIALS, _trials())
    _write_csv(root / layout.IMPORTANCE, pd.DataFrame({"parameter": ["lr", "head.dropout"], "importance": [0.8, 0.2]}))
    _write_json(root / layout.BEST_PARAMS, {
        "trial": 1, "value": 0.9, "val_accuracy": 0.7, "values": {"lr": 0.002, "head.dropout": 0.1},
        "default_value": 1.1, "num_trials": 3, "objective": "val_loss",
    })  # fmt: skip


def _write_data(data: Path, labels: list[str], clips_per_class: int, rng: np.random.Generator) -> pd.DataFrame:
    (data / "shards").mkdir(parents=True)
    rows = [
        {
            "clip_id": f"{index:04d}-{number}-{source}",
            "source_id": f"{source} {labels[0]}",
            "label": label,
            "split": split,
        }
        for source, split in SPLIT_OF.items()
        for index, label in enumerate(labels)
        for number in range(clips_per_class)
    ]
    times = [0.1 * frame for frame in range(NUM_FRAMES)]
    places = write_shard(
        data / "shards", [StoredClip(row["clip_id"], WIDTH, HEIGHT, times, _frames(rng)) for row in rows]
    )
    facts = {
        "uri": "made", "sha256": "0", "start_s": 0.0, "captured_at": None, "codec": "h264", "width": WIDTH,
        "height": HEIGHT, "fps": 10.0, "frames": NUM_FRAMES, "rotation": 0, "contrast": 10.0, "sharpness": 1.0,
        "motion": 1.0,
    }  # fmt: skip
    manifest = pd.DataFrame(
        [{**facts, **row, "shard": shard, "row": at} for row, (shard, at) in zip(rows, places, strict=True)]
    ).assign(end_s=rng.uniform(0.8, 2.0, len(rows)), brightness=rng.normal(100.0, 20.0, len(rows)))
    manifest["captured_at"] = pd.to_datetime(manifest["captured_at"], utc=True)
    write_manifest(manifest, data / layout.MANIFEST.name)
    return manifest


def _frames(rng: np.random.Generator) -> list[bytes]:
    background, colour = rng.integers(40, 200, 3), rng.integers(0, 255, 3)
    frames = np.empty((NUM_FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    frames[:] = background
    for number, frame in enumerate(frames):
        frame[16:32, 6 * number : 6 * number + 16] = colour
    return [simplejpeg.encode_jpeg(frame, quality=90) for frame in frames]


def _predictions(manifest: pd.DataFrame, labels: list[str], accuracy: float, rng: np.random.Generator) -> pd.DataFrame:
    clips = manifest[manifest["split"] != "train"].sort_values(["split", "clip_id"], ignore_index=True)
    probabilities = rng.dirichlet(np.ones(len(labels)), len(clips)).astype(np.float32)
    for row, label in zip(probabilities, clips["label"], strict=True):
        if rng.random() < accuracy:
            best, truth = row.argmax(), labels.index(label)
            row[[best, truth]] = row[[truth, best]]
    predicted = [labels[index] for index in probabilities.argmax(1)]
    return clips[["clip_id", "source_id", "split", "label"]].assign(
        predicted=predicted, confidence=probabilities.max(1), correct=clips["label"] == predicted,
        probabilities=list(probabilities),
    )  # fmt: skip


def _seen(manifest: pd.DataFrame, labels: list[str], rng: np.random.Generator) -> Outputs:
    embedding_ND = rng.normal(0, 0.1, (len(manifest), len(labels)))
    embedding_ND[np.arange(len(manifest)), [labels.index(label) for label in manifest["label"]]] = 1.0
    probability_NK = np.full((len(manifest), len(labels)), 1 / len(labels))
    return Outputs(manifest.assign(picture=None), embedding_ND, probability_NK, labels)


def _metrics(test: pd.DataFrame, labels: list[str]) -> dict[str, object]:
    accuracy = float(test["correct"].mean())
    share = {"accuracy": accuracy, "accuracy_low": 0.9 * accuracy, "accuracy_high": (1 + accuracy) / 2}
    before = {"accuracy": 0.2, "accuracy_low": 0.1, "accuracy_high": 0.3}
    names = ["majority", "initial", "pretrained_features"]
    return {
        **share, "interval_is_rough": True, "macro_f1": 0.7, "loss": 1.0, "ece": 0.1, "ece_uncalibrated": 0.2,
        "temperature": 1.8, "clips": len(test),
        "sources": test["source_id"].nunique(), "classes": len(labels), "before": dict.fromkeys(names, before),
        "gain": {f"over_{name}": {"difference": 0.5, "low": 0.3, "high": 0.6} for name in names},
    }  # fmt: skip


def _curves() -> pd.DataFrame:
    epoch = np.arange(1, 9)
    return pd.DataFrame({
        "epoch": epoch, "phase": ["head"] * 4 + ["full"] * 4, "train_loss": 2.0 / epoch, "val_loss": 2.2 / epoch,
        "train_accuracy": 1 - 1 / (epoch + 1), "val_accuracy": 1 - 1.2 / (epoch + 1), "lr": 0.001,
    })  # fmt: skip


def _trials() -> pd.DataFrame:
    return pd.DataFrame({
        "trial": [0, 1, 2], "state": ["complete", "complete", "pruned"], "default": [True, False, False],
        "value": [1.1, 0.9, None], "val_accuracy": [0.6, 0.7, None], "best_so_far": [1.1, 0.9, 0.9],
        "epochs": [8, 8, 2], "lr": [0.002, 0.001, 0.1], "error": None,
    })  # fmt: skip


def _write_table(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
