"""The folder of a finished round, made in a moment: a tiny model, its dataset, its results."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

import tasks
from models.build import build_model
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.predict import predict
from models.saved import save_model
from models.spec import HeadParams, ModelParams
from tasks import layout
from tasks.params.data import IngestParams
from tasks.params.whole import BaseParams, Params
from tests.support.dataset import write_dataset

LABELS = ["left", "right"]
MODEL = ModelParams(family="efficientnet_lite0", flavour="debug", head=HeadParams(name="temporal", hidden=8))


def params_of(name: str = "actions") -> Params:
    return Params(base=BaseParams(name=name), ingest=IngestParams(short_side=40), model=MODEL)


def write_round(root: Path, *, seed: int = 0, labels: list[str] | None = None, clip_ids: Iterable[str] = ()) -> Path:
    """Write a workspace whose model has the random weights of ``seed`` and may know other ``labels`` than the data.

    It says that it was made with ``clip_ids``.
    """
    labels = labels or LABELS
    root.mkdir(parents=True)
    for folder in ("models", "tasks"):
        (root / folder).symlink_to(Path(tasks.__file__).parents[1] / folder)
    write_dataset(root / layout.DATA)
    model = build_model(MODEL, len(labels), seed=seed)
    save_model(root / layout.MODEL, model, MODEL, labels, clip_ids=clip_ids)
    clips = read_manifest(root / layout.MANIFEST)
    clips = clips[clips["split"] == "test"].sort_values("clip_id", ignore_index=True)
    probabilities = predict(model, ClipLoader(root / layout.DATA, clips, labels, model.clip_input, 8))
    predicted = [labels[index] for index in probabilities.argmax(1)]
    predictions = clips[["clip_id", "source_id", "split", "label"]].assign(
        predicted=predicted, correct=clips["label"] == predicted, probabilities=list(probabilities)
    )
    (root / layout.PREDICTIONS).parent.mkdir(parents=True)
    pd.DataFrame(predictions).to_parquet(root / layout.PREDICTIONS)
    metrics = {
        "accuracy": 0.75, "accuracy_low": 0.5, "accuracy_high": 0.9, "clips": 8, "sources": 1,
        "before": {"majority": {"accuracy": 0.5}}, "gain": {"over_majority": {"difference": 0.25}},
        "per_class": {"left": {"recall": 1.0}},
    }  # fmt: skip
    (root / layout.METRICS).write_text(json.dumps(metrics))
    (root / layout.REPORT).parent.mkdir(parents=True)
    (root / layout.REPORT).write_text("<html><body><main>report</main></body></html>")
    (root / "dvc.lock").write_text(f"weights of seed {seed}: {hashlib.sha256(str(labels).encode()).hexdigest()}\n")
    return root
