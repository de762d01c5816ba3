"""How much accuracy has been lost, estimated without labels.

Legend: N clips of a side, K classes, R resamples, S sources.

Average thresholded confidence (Garg, Balakrishnan, Lipton, Neyshabur & Sedghi 2022, "Leveraging Unlabeled Data to
Predict Out-of-Distribution Performance", 2201.04234): the threshold above which as many clips of the reference lie as
the champion gets right; the share of the window's clips above it estimates its accuracy there. The score of an answer
of one class is negative entropy.

The interval is that of bootstrap.py: Student's, on the logit scale, from the standard error over resamples of whole
sources, of reference and window alike. It holds what comes from having few sources, not that confidence may mislead in
a new world, which no estimate without labels can know.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from scipy.stats import rankdata

from models.errors import UserError
from tasks.statistics.bootstrap import Interval, logit_interval
from tasks.statistics.harm import drop_interval
from tasks.statistics.outcome import Abstained, two_sides
from tasks.statistics.two_samples import source_weights

TOLERANCE = 0.1
"""By how much the estimate may miss held-out sources of the reference, on average, before it abstains."""

MIN_SEPARATION = 0.6
"""The chance that a right answer is more confident than a wrong one, below which confidence says too little."""

_MIN_SOURCES = 4
_MIN_CLIPS = 10
_NUM_SPLITS = 10

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EstimatedAccuracy:
    """Accuracy without labels.

    Attributes:
        reference_accuracy: Measured on the reference.
        accuracy: Estimated on the window, with its interval.
        drop: The first minus the second, with its interval.
        held_out_error: Mean error of the same estimate on held-out sources of the reference.
    """

    reference_accuracy: float
    accuracy: Interval
    drop: Interval
    held_out_error: float


def estimated_accuracy(
    reference_score_N: ArrayLike,
    reference_correct_N: ArrayLike,
    reference_sources: Sequence[Any] | NDArray[Any],
    window_score_N: ArrayLike,
    window_sources: Sequence[Any] | NDArray[Any],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> EstimatedAccuracy | Abstained:
    """Estimate the champion's accuracy on the window.

    Args:
        reference_score_N: How certain the champion is of its answer to each clip of the reference, which it did not
            train on; on any scale that grows, such as :func:`negative_entropy`.
        reference_correct_N: Whether each is right.
        reference_sources: The source of each.
        window_score_N: The same of the window.
        window_sources: The source of each.
        resamples: Bootstrap resamples.
        confidence: Such as 0.95.
        tolerance: See :data:`TOLERANCE`.
        seed: Of the resampling and of the splits.

    Raises:
        UserError: A score is not finite, or lengths differ.
    """
    sides = two_sides(reference_score_N, window_score_N, "confidence")
    if isinstance(sides, Abstained):
        return sides
    correct_N = np.asarray(reference_correct_N, bool)
    _, reference_source_N = np.unique(np.asarray(reference_sources), return_inverse=True)
    _, window_source_N = np.unique(np.asarray(window_sources), return_inverse=True)
    if not len(correct_N) == len(reference_source_N) == len(sides[0]) or len(window_source_N) != len(sides[1]):
        raise UserError("confidence: clips, answers and sources differ in number; give one of each a clip")
    reference = _Scored.of(sides[0], reference_source_N)
    correct_N = correct_N[reference.order_N]
    window = _Scored.of(sides[1], window_source_N)
    num_sources = int(min(reference_source_N.max(), window_source_N.max())) + 1
    if reason := _unfit(reference, correct_N, num_sources):
        return Abstained(reason)
    held_out_error = _held_out_error(reference, correct_N, seed)
    if held_out_error > tolerance:
        return Abstained(
            f"Accuracy estimated from confidence misses held-out sources of the reference by {held_out_error:.2f} on "
            f"average, more than {tolerance:g}; label clips to measure it instead."
        )
    weights_RS = source_weights(reference_sources, window_sources, resamples=resamples, seed=seed)
    resampled_R2 = np.array(
        [_accuracies(reference, correct_N, window, *pair) for pair in zip(*weights_RS, strict=True)]
    )
    before, after = _accuracies(
        reference, correct_N, window, *(np.ones(weight_RS.shape[1]) for weight_RS in weights_RS)
    )
    # Never smaller than for as many independent clips: with few sources the spread may vanish by chance.
    least_before, least_after = before * (1 - before) / len(correct_N), after * (1 - after) / len(window.score_N)
    error = max(float(resampled_R2[:, 1].std(ddof=1)), math.sqrt(least_before + least_after))
    drop_error = max(float(np.diff(resampled_R2)[:, 0].std(ddof=1)), math.sqrt(least_before + least_after))
    low, high = logit_interval(after, error, num_sources, confidence)
    return EstimatedAccuracy(
        before,
        Interval(after, min(low, after), max(high, after)),
        drop_interval(before - after, drop_error, num_sources, confidence),
        held_out_error,
    )


def negative_entropy(probability_NK: NDArray[np.floating]) -> _Floats:
    """How certain an answer of one class is, from the probabilities of all."""
    probability_NK = probability_NK.astype(np.float64)
    score_N: _Floats = xlogy(probability_NK, probability_NK).sum(1)
    return score_N


@dataclass(frozen=True)
class _Scored:
    """Clips of one side, the most confident first.

    Attributes:
        score_N: How certain their answers are.
        source_N: Index of each clip's source.
        order_N: Where each clip was before.
    """

    score_N: _Floats
    source_N: NDArray[np.int64]
    order_N: NDArray[np.int64]

    @classmethod
    def of(cls, score_N: NDArray[np.floating], source_N: NDArray[np.int64]) -> "_Scored":
        order_N = np.argsort(-score_N, kind="stable")
        return cls(score_N[order_N].astype(np.float64), source_N[order_N], order_N)


def _unfit(reference: _Scored, correct_N: NDArray[np.bool_], num_sources: int) -> str | None:
    """Why confidence cannot tell accuracy here."""
    if num_sources < _MIN_SOURCES:
        return (
            f"A side has {num_sources} sources, too few to estimate accuracy; collect clips of at least {_MIN_SOURCES}."
        )
    right, wrong = int(correct_N.sum()), int((~correct_N).sum())
    if min(right, wrong) < _MIN_CLIPS:
        return (
            f"The champion gets {right} clips of the reference right and {wrong} wrong, and a threshold needs "
            f"{_MIN_CLIPS} of each; enlarge the reference or label clips of the window."
        )
    rank_N = rankdata(reference.score_N)
    separation = (rank_N[correct_N].sum() - right * (right + 1) / 2) / (right * wrong)
    if separation < MIN_SEPARATION:
        return (
            f"Right answers are more confident than wrong ones in {separation:.0%} of pairs, less than "
            f"{MIN_SEPARATION:.0%}; label clips to measure accuracy instead."
        )
    return None


def _held_out_error(reference: _Scored, correct_N: NDArray[np.bool_], seed: int) -> float:
    """Mean error of the estimate for half of the reference's sources, made from the other half."""
    rng = np.random.default_rng(seed)
    num_sources = int(reference.source_N.max()) + 1
    errors = []
    for _ in range(_NUM_SPLITS):
        is_held_out_S = rng.permutation(num_sources) < num_sources // 2
        _, after = _accuracies(reference, correct_N, reference, ~is_held_out_S, is_held_out_S)
        held_out_N = is_held_out_S[reference.source_N]
        errors.append(abs(after - float(correct_N[held_out_N].mean())))
    return float(np.mean(errors))


def _accuracies(
    reference: _Scored,
    correct_N: NDArray[np.bool_],
    window: _Scored,
    reference_weight_S: NDArray[Any],
    window_weight_S: NDArray[Any],
) -> tuple[float, float]:
    """Measured on the reference and estimated on the window, clips weighing what their source weighs."""
    weight_N = np.asarray(reference_weight_S, np.float64)[reference.source_N]
    num_right = float(weight_N @ correct_N)
    above_N = np.cumsum(weight_N)
    # Half a clip's weight of slack: sums in another order round differently.
    last = min(int(np.searchsorted(above_N, num_right - 0.5)), len(weight_N) - 1)
    threshold = reference.score_N[last] if num_right > 0 else np.inf
    window_N = np.asarray(window_weight_S, np.float64)[window.source_N]
    return num_right / float(above_N[-1]), float(window_N @ (window.score_N >= threshold)) / float(window_N.sum())
