"""Measure the model on the test split, before and after fine-tuning: ``python -m tasks.evaluate``."""

import logging
from pathlib import Path

from models.clips.manifest import read_manifest
from models.saved import load_model
from models.spec import ModelParams
from tasks import layout
from tasks.evaluation.classes import measured_classes
from tasks.evaluation.clips import splits_of
from tasks.evaluation.labels import measured_labels
from tasks.evaluation.measure import measure_of
from tasks.params.quality import EvaluateParams
from tasks.params.whole import BaseParams
from tasks.params_file import load_params
from tasks.process import run_stage
from tasks.tracking import tracked

logger = logging.getLogger(__name__)


def evaluate(
    base: BaseParams,
    evaluate: EvaluateParams,
    *,
    data: Path = layout.DATA,
    model: Path = layout.MODEL,
    out: Path = layout.METRICS.parent,
) -> None:
    """Write ``metrics.json``, ``predictions.parquet``, ``confusion.csv``, ``reliability.csv`` and ``slices.csv``.

    A model that names one class a clip is measured by :mod:`tasks.evaluation.classes`, one that names any number of
    labels by :mod:`tasks.evaluation.labels`.

    Where the section asks for them, the metrics have ``views``, the mean over several looks at each clip and its cost,
    and ``robust``, accuracy on clips that were changed to mislead the model.

    What is there before fine-tuning is measured in three ways, each of which sees the training labels in its own way:
    always the most frequent class; the model as it started, its head untrained; and the best that a linear classifier
    makes of the pretrained features. Differences are paired by source on the same test clips.

    Args:
        base: Name and seed.
        evaluate: How to measure.
        data: The dataset's folder.
        model: Folder of the fine-tuned model.
        out: Where results go.

    Raises:
        UserError: A split has no labelled clips, a label is unknown to the model, or data or model are unreadable.
    """
    tuned, card = load_model(model)
    path, params = data / layout.MANIFEST.name, ModelParams.model_validate(card["model"])
    splits = splits_of(read_manifest(path), card["labels"], path, multi_label=tuned.multi_label)
    measured = measured_labels if tuned.multi_label else measured_classes
    with tracked("evaluate", base.name) as tracker:
        found = measured(tuned, params, splits, data, evaluate, seed=base.seed)
        found.write(out)
        tracker.metrics(found.headline())
        for written in (layout.PREDICTIONS, layout.CONFUSION, layout.RELIABILITY, layout.SLICES, layout.METRICS):
            tracker.artifact(out / written.name)
    metrics, measure = found.metrics, measure_of(found.metrics)
    logger.info(
        "%s on %d test clips of %d sources: %.3f (%.3f to %.3f)",
        *(measure.name, metrics["clips"], metrics["sources"]),
        *(metrics[f"{measure.key}{end}"] for end in ("", "_low", "_high")),
    )


def main() -> None:
    """The stage."""
    params = load_params()
    evaluate(params.base, params.evaluate)


if __name__ == "__main__":
    run_stage(main)
