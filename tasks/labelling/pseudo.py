"""Labels by a model that is sure enough, to train on and for nothing else.

Legend: N clips.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.label_sets import is_multi_label
from models.clips.manifest import PSEUDO, read_manifest
from models.errors import UserError
from tasks.dataset import alone_in, kept_splits, settled, store_clips
from tasks.labelling.outputs import Outputs
from tasks.layout import MANIFEST
from tasks.params.data import SplitParams
from tasks.statistics.bootstrap import Interval, source_bootstrap

logger = logging.getLogger(__name__)

_STEPS = 40


@dataclass(frozen=True)
class Threshold:
    """From which confidence on a model may label by itself.

    Attributes:
        confidence: Of the most probable class, at least.
        precision: Share of reference clips so confident that are right; ``low`` reaches the target.
        clips: Of the reference, so confident.
        sources: Of these clips.
    """

    confidence: float
    precision: Interval
    clips: int
    sources: int


def calibrated_threshold(
    confidence_N: NDArray[np.floating],
    correct_N: NDArray[np.bool_],
    source_N: NDArray[Any],
    *,
    target: float,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Threshold | None:
    """The smallest confidence above which the model is right as often as ``target`` asks, or None: it cannot be said.

    Thresholds are tried from the highest down. Once one reaches the target, the first that misses it ends the search:
    a fixed order instead of the best of many (Angelopoulos et al. 2021, "Learn then Test", 2110.01052). The lower bound
    is over sources; with few of them it is far below the estimate, and None is the usual answer.

    Args:
        confidence_N: Of the most probable class, on reference clips that the model did not train on.
        correct_N: Whether that class is right.
        source_N: Where the clips come from.
        target: Precision to reach, such as 0.95.
        level: Of the one-sided lower bound.
        resamples: Bootstrap resamples.
        seed: Of the resampling.

    Raises:
        UserError: A confidence is not a finite number.
    """
    if not np.isfinite(confidence_N).all():
        raise UserError("confidence of the reference is not a finite number; run the model on it again")
    found: Threshold | None = None
    steps = np.quantile(confidence_N, np.linspace(1.0, 0.0, _STEPS + 1), method="nearest") if len(confidence_N) else []
    for step in np.unique(steps)[::-1]:
        sure_N = confidence_N >= step
        precision = source_bootstrap(
            correct_N[sure_N], source_N[sure_N], resamples=resamples, confidence=2.0 * level - 1.0, seed=seed
        )
        if precision.low >= target:
            found = Threshold(float(step), precision, int(sure_N.sum()), len(np.unique(source_N[sure_N])))
        elif found:
            break
    if found is None:
        logger.warning(
            "no pseudo-labels: on %d clips of %d reference sources no confidence is right %g%% of the time for certain",
            len(confidence_N),
            len(np.unique(source_N)),
            100 * target,
        )
    return found


@dataclass(frozen=True)
class PseudoLabelled:
    """What a model labelled.

    Attributes:
        clips: That have a pseudo-label now.
        withheld: That would have one, but their source is validated or tested on.
        removed: That had one and have none now.
    """

    clips: int
    withheld: int
    removed: int


def pseudo_label(outputs: Outputs, data: Path, threshold: float, split: SplitParams, *, seed: int) -> PseudoLabelled:
    """Label by the model what nobody has labelled, mark it, and take back the pseudo-labels of earlier models.

    They go to the split train, never to val or test: a source that is validated or tested on gets none, and one that
    had any is never validated or tested on (:func:`tasks.dataset.kept_splits`).

    Args:
        outputs: What the model made of clips of the dataset.
        data: The dataset's folder.
        threshold: Confidence, from :func:`calibrated_threshold`.
        split: Section ``split``.
        seed: Breaks ties between sources when splitting.

    Raises:
        UserError: A probability is not a finite number, or there is no dataset.
    """
    if not np.isfinite(outputs.probability_NK).all():
        raise UserError("a probability is not a finite number; run the model on the clips again")
    sure_N = outputs.confidence() >= threshold
    by_model = pd.Series(outputs.said()[sure_N], outputs.clips.loc[sure_N, "clip_id"])
    with alone_in(data):
        clips = known = read_manifest(data / MANIFEST.name)
        if is_multi_label(known) and len(by_model):
            raise UserError(
                "params.yaml: pseudo.enabled: a model does not label clips that may have several labels "
                "(ingest.multi_label); set it to false"
            )
        had = known["label_origin"] == PSEUDO
        by_model = by_model[by_model.isin(known.loc[~had, "label"])]  # a class needs a clip that is more than a guess
        clips = clips.astype({"label": object, "label_origin": object})
        clips.loc[had, ["label", "label_origin"]] = None
        wanted = clips["label"].isna() & clips["clip_id"].isin(by_model.index)
        clips.loc[wanted, "label"] = clips.loc[wanted, "clip_id"].map(by_model)
        clips.loc[wanted, "label_origin"] = PSEUDO
        outcome = settled(clips, kept_splits(known, data, split, seed), split, seed)
        store_clips(outcome.clips, data, split, seed)
    has = (outcome.clips["label_origin"] == PSEUDO).to_numpy()
    return PseudoLabelled(int(has.sum()), int((wanted.to_numpy() & ~has).sum()), int((had.to_numpy() & ~has).sum()))
