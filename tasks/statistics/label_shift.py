"""How labels are spread in the window, if only their shares have changed.

Legend: N clips of a side, K classes, S sources of a side, R resamples.

Black-box shift estimation (Lipton, Wang & Smola 2018, 1802.03916) in its soft form, which Garg, Wu, Balakrishnan &
Lipton 2020 (2003.07554) compare with its kin: the mean softmax output on the window is a mixture of what the reference
shows for each class. It is right only where looks within a class have not changed, so it explains and never triggers.

Intervals are Student's, from the spread over resamples of whole sources (two_samples.py). All of them together hold the
truth as often as asked (Bonferroni over the classes), so that a mention of one class is not the best of many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from models.errors import UserError
from tasks.statistics.outcome import Abstained, two_sides
from tasks.statistics.two_samples import source_weights

MIN_SINGULAR_VALUE = 0.15
"""Of the confusion by class: 1 where the model is always right, 0 where it cannot tell some classes apart."""

_MIN_SOURCES = 4
# Of the resamples, in how many at most a class may lack clips or be confused with others.
_MOST_LOST = 0.1

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelShift:
    """How the window's labels are spread, were nothing else changed.

    Attributes:
        share_K: Estimated share of each class in the window.
        reference_share_K: Its share in the reference.
        weight_K: How many times as frequent each class is.
        low_K: Lower ends of the intervals of ``weight_K``.
        high_K: Upper ends.
    """

    share_K: _Floats
    reference_share_K: _Floats
    weight_K: _Floats
    low_K: _Floats
    high_K: _Floats


def label_shift(
    reference_NK: ArrayLike,
    reference_label_N: ArrayLike,
    reference_sources: Sequence[Any] | NDArray[Any],
    window_NK: ArrayLike,
    window_sources: Sequence[Any] | NDArray[Any],
    labels: Sequence[str],
    *,
    min_singular_value: float = MIN_SINGULAR_VALUE,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> LabelShift | Abstained:
    """Estimate the window's label distribution.

    Args:
        reference_NK: Softmax outputs on the reference, which the champion did not train on.
        reference_label_N: Index of the true class of each of its clips.
        reference_sources: The source of each.
        window_NK: Softmax outputs on the window.
        window_sources: The source of each.
        labels: Names of the classes.
        min_singular_value: Of the confusion by class; below it the estimate would be noise.
        resamples: Bootstrap resamples.
        confidence: Of all intervals together, such as 0.95.
        seed: Of the resampling.

    Raises:
        UserError: A probability is not finite, classes differ, or a label is no class.
    """
    sides = two_sides(reference_NK, window_NK, "softmax")
    if isinstance(sides, Abstained):
        return sides
    label_N = np.asarray(reference_label_N)
    num_classes = sides[0].shape[1]
    if len(label_N) != len(sides[0]) or label_N.min() < 0 or label_N.max() >= num_classes:
        raise UserError(
            f"labels: {len(sides[0])} clips of the reference need a label each, from 0 to {num_classes - 1}"
        )
    num_clips_K = np.bincount(label_N, minlength=num_classes)
    if not num_clips_K.all():
        missing = ", ".join(label for label, num in zip(labels, num_clips_K, strict=True) if not num)
        return Abstained(
            f"The reference has no clips of class {missing}; label some that the champion did not train on."
        )
    reference, window = _sums(sides[0], reference_sources, label_N), _sums(sides[1], window_sources)
    num_sources = min(len(reference), len(window))
    if num_sources < _MIN_SOURCES:
        return Abstained(
            f"A side has {num_sources} sources, too few to estimate how classes are spread; collect clips of at least "
            f"{_MIN_SOURCES}."
        )
    share_1K, reference_share_1K, smallest_1 = _shares(reference.sum(0)[None], window.sum(0)[None], num_clips_K[None])
    if smallest_1[0] < min_singular_value:
        return Abstained(
            f"The champion confuses classes too much to tell their shares (smallest singular value "
            f"{smallest_1[0]:.2f}, needed {min_singular_value:g}); train a better model or merge the classes that it "
            "confuses."
        )
    weight_K = (share_1K / reference_share_1K)[0]
    weights_RS = source_weights(reference_sources, window_sources, resamples=resamples, seed=seed)
    clips_SK = _sums(np.eye(num_classes)[label_N], reference_sources)
    resampled_RK, reference_RK, smallest_R = _shares(
        np.tensordot(weights_RS[0], reference, 1), weights_RS[1] @ window, weights_RS[0] @ clips_SK
    )
    kept_R = smallest_R >= min_singular_value
    if kept_R.mean() < 1 - _MOST_LOST:
        return Abstained(
            "With other sources of the same kind the champion would confuse classes too much to tell their shares; "
            "enlarge the reference."
        )
    error_K = (resampled_RK[kept_R] / reference_RK[kept_R]).std(0, ddof=1)
    reach_K = stdtrit(num_sources - 1, 1 - (1 - confidence) / 2 / num_classes) * error_K
    return LabelShift(
        share_1K[0], reference_share_1K[0], weight_K, np.maximum(weight_K - reach_K, 0.0), weight_K + reach_K
    )


def _sums(
    values_NK: NDArray[np.floating], sources: Sequence[Any] | NDArray[Any], label_N: NDArray[np.int64] | None = None
) -> _Floats:
    """Values summed over the clips of each source, shape (S, K); with labels by true class too, shape (S, L, K)."""
    names, source_N = np.unique(np.asarray(sources), return_inverse=True)
    if label_N is None:
        sums_SK = np.zeros((len(names), values_NK.shape[1]))
        np.add.at(sums_SK, source_N, values_NK)
        return sums_SK
    sums_SLK = np.zeros((len(names), values_NK.shape[1], values_NK.shape[1]))
    np.add.at(sums_SLK, (source_N, label_N), values_NK)
    return sums_SLK


def _shares(answers_RLK: _Floats, window_RK: _Floats, clips_RL: NDArray[Any]) -> tuple[_Floats, _Floats, _Floats]:
    """Estimated shares, shares in the reference, and the confusion's smallest singular value, of each resample.

    Args:
        answers_RLK: Softmax outputs summed over the reference's clips of each true class L.
        window_RK: Softmax outputs summed over the window.
        clips_RL: Clips of the reference of each true class.
    """
    answer_given_label_RKL = (answers_RLK / np.maximum(clips_RL, 1e-12)[:, :, None]).swapaxes(1, 2)
    smallest_R = np.linalg.svd(answer_given_label_RKL, compute_uv=False)[:, -1]
    mean_RK = window_RK / window_RK.sum(1, keepdims=True)
    share_RK = np.maximum((np.linalg.pinv(answer_given_label_RKL) @ mean_RK[:, :, None])[:, :, 0], 0.0)
    share_RK /= np.maximum(share_RK.sum(1, keepdims=True), 1e-12)
    return share_RK, clips_RL / clips_RL.sum(1, keepdims=True), smallest_R
