"""Make a trained model as sure as it is right, on clips that it was not trained on.

Where clips may have several labels, the probability from which a clip has each of them is chosen there too.

Legend: N clips, K classes.
"""

import logging
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.build import VideoModel
from models.clips.label_sets import known_to, wanted_of
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.inference import infer
from tasks import layout
from tasks.remote_shards import shards_of
from tasks.statistics.temperature import fit_answer_temperature, fit_temperature
from tasks.statistics.thresholds import best_thresholds

logger = logging.getLogger(__name__)

_FEWEST_CLIPS, _FEWEST_SOURCES = 50, 3
"""With fewer the temperature says more about these clips than about others."""


def calibrate(model: VideoModel, labels: list[str], data: Path, batch_size: int, *, temperature: bool = True) -> None:
    """Set the model's temperature by the labelled clips of val; with too few of them it stays 1, and the log says so.

    The same for the thresholds of a model that may name several labels, which otherwise stay one half.

    Args:
        model: Trained, on any device.
        labels: In the order of its classes.
        data: The dataset's folder.
        batch_size: Clips a forward pass.
        temperature: Whether the temperature is set; thresholds always are.
    """
    manifest = read_manifest(data / layout.MANIFEST.name)
    val = manifest[(manifest["split"] == "val") & known_to(manifest, labels)]
    num_sources = val["source_id"].nunique()
    if len(val) < _FEWEST_CLIPS or num_sources < _FEWEST_SOURCES:
        logger.warning(
            "confidence is not calibrated: val has %d labelled clips of %d sources, and it takes %d of %d; ingest more "
            "sources",
            *(len(val), num_sources, _FEWEST_CLIPS, _FEWEST_SOURCES),
        )
        return
    device, workers = next(model.parameters()).device, min(os.cpu_count() or 1, 8)
    loader = ClipLoader(
        data, val, labels, model.clip_input, batch_size, num_workers=workers, device=device, shards=shards_of(data)
    )
    logits_NK, label_N = infer(model, model, loader, title="calibrate")
    if model.multi_label:
        _set_thresholds(model, logits_NK, wanted_of(val, labels), temperature=temperature)
        return
    model.temperature = fit_temperature(logits_NK.cpu().numpy(), label_N.cpu().numpy())
    logger.info("class scores are divided by %.4f, fitted on %d val clips", model.temperature, len(val))


def _set_thresholds(model: VideoModel, logits_NK: Tensor, wanted_NK: NDArray[np.bool_], *, temperature: bool) -> None:
    if temperature:
        model.temperature = fit_answer_temperature(logits_NK.cpu().numpy(), wanted_NK)
    probability_NK = model.probabilities(logits_NK / model.temperature).cpu().numpy()
    model.thresholds = tuple(best_thresholds(probability_NK, wanted_NK))
    logger.info(
        "class scores are divided by %.4f, and thresholds lie between %.3f and %.3f, fitted on %d val clips",
        *(model.temperature, min(model.thresholds), max(model.thresholds), len(wanted_NK)),
    )
