"""How much accuracy has been lost, measured with labels.

Legend: N clips of a side, S sources of a side.

Estimated without labels: thresholded_confidence.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import UserError
from tasks.statistics.bootstrap import Interval, logit_interval
from tasks.statistics.outcome import Abstained
from tasks.statistics.two_samples import source_weights

_MIN_SOURCES = 2

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredDrop:
    """Accuracy lost.

    Attributes:
        reference_accuracy: On the reference.
        window_accuracy: On the labelled clips of the window.
        drop: The first minus the second, with its interval for new sources of the same kind.
        num_shared: Sources on both sides; what makes them hard drops out.
    """

    reference_accuracy: float
    window_accuracy: float
    drop: Interval
    num_shared: int


def measured_drop(
    reference_correct_N: ArrayLike,
    reference_sources: Sequence[Any] | NDArray[Any],
    window_correct_N: ArrayLike,
    window_sources: Sequence[Any] | NDArray[Any],
    *,
    window_weight_N: ArrayLike | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> MeasuredDrop | Abstained:
    """Accuracy on the reference minus accuracy on the window's labelled clips; few of them make a wide interval.

    Args:
        reference_correct_N: Whether the champion is right, by clip that it did not train on.
        reference_sources: The source of each.
        window_correct_N: The same for the window's labelled clips.
        window_sources: The source of each.
        window_weight_N: How many clips of the window each stands for, more than 0; by default all the same.
        resamples: Bootstrap resamples.
        confidence: Such as 0.95.
        seed: Of the resampling.

    Raises:
        UserError: Lengths differ, or a value is neither right nor wrong.
    """
    weight_N = np.ones(len(np.asarray(window_correct_N))) if window_weight_N is None else np.asarray(window_weight_N)
    sides = [
        _by_source(reference_correct_N, reference_sources, np.ones(len(np.asarray(reference_correct_N)))),
        _by_source(window_correct_N, window_sources, weight_N),
    ]
    for (_, clips_S), name in zip(sides, ("reference", "window"), strict=True):
        if len(clips_S) < _MIN_SOURCES:
            return Abstained(
                f"Labelled clips of the {name} come from {len(clips_S)} sources, which says nothing about others; "
                f"label clips of at least {_MIN_SOURCES}."
            )
    weights = source_weights(reference_sources, window_sources, resamples=resamples, seed=seed)
    (before, before_R), (after, after_R) = (
        (hits_S.sum() / clips_S.sum(), (weight_RS @ hits_S) / np.maximum(weight_RS @ clips_S, 1e-12))
        for (hits_S, clips_S), weight_RS in zip(sides, weights, strict=True)
    )
    # As many independent clips, were all weights the same, have the variance of the weighted ones (Kish 1965).
    num_clips = len(np.asarray(reference_correct_N)), weight_N.sum() ** 2 / np.square(weight_N).sum()
    independent = sum(share * (1 - share) / num for share, num in zip((before, after), num_clips, strict=True))
    drop = drop_interval(
        float(before - after),
        max(float((before_R - after_R).std(ddof=1)), math.sqrt(independent)),
        min(len(clips_S) for _, clips_S in sides),
        confidence,
    )
    num_shared = len(np.intersect1d(np.asarray(reference_sources), np.asarray(window_sources)))
    return MeasuredDrop(float(before), float(after), drop, num_shared)


def drop_interval(drop: float, error: float, num_sources: int, confidence: float) -> Interval:
    """The interval of a difference in accuracy, as in bootstrap.py on the logit scale between -1 and 1.

    Args:
        drop: The difference.
        error: Its standard error over sources.
        num_sources: Of the side with fewer; Student's quantile is of one degree of freedom less.
        confidence: Such as 0.95.
    """
    low, high = (2 * end - 1 for end in logit_interval((drop + 1) / 2, error / 2, num_sources, confidence))
    return Interval(drop, min(low, drop), max(high, drop))


def _by_source(
    correct_N: ArrayLike, sources: Sequence[Any] | NDArray[Any], weight_N: NDArray[np.floating]
) -> tuple[_Floats, _Floats]:
    """Right answers and clips of each source, by weight, shapes (S,), sources in sorted order."""
    hit_N = np.asarray(correct_N, np.float64)
    _, source_N = np.unique(np.asarray(sources), return_inverse=True)
    if not hit_N.shape == source_N.shape == weight_N.shape:
        raise UserError(
            f"labels: {len(hit_N)} answers and {len(weight_N)} weights for {len(source_N)} clips; give one a clip"
        )
    if not np.isin(hit_N, (0.0, 1.0)).all():
        raise UserError("labels: an answer is neither right (1) nor wrong (0); compare predictions with labels first")
    hits_S, clips_S = (np.bincount(source_N, values_N).astype(np.float64) for values_N in (hit_N * weight_N, weight_N))
    return hits_S, clips_S
