"""How labels are spread in the window, if only their shares have changed.

Legend: N clips of a side, K classes.

Black-box shift estimation (Lipton, Wang & Smola 2018, 1802.03916) in its soft form, which Garg, Wu, Balakrishnan &
Lipton 2020 (2003.07554) compare with its kin: the mean softmax output on the window is a mixture of what the reference
shows for each class. It is right only where looks within a class have not changed, so it explains and never triggers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import UserError
from tasks.statistics.outcome import Abstained, two_sides

MIN_SINGULAR_VALUE = 0.15
"""Of the confusion by class: 1 where the model is always right, 0 where it cannot tell some classes apart."""


@dataclass(frozen=True)
class LabelShift:
    """How the window's labels are spread, were nothing else changed.

    Attributes:
        share_K: Estimated share of each class in the window.
        reference_share_K: Its share in the reference.
        weight_K: How many times as frequent each class is.
    """

    share_K: NDArray[np.float64]
    reference_share_K: NDArray[np.float64]
    weight_K: NDArray[np.float64]


def label_shift(
    reference_NK: ArrayLike,
    reference_label_N: ArrayLike,
    window_NK: ArrayLike,
    *,
    min_singular_value: float = MIN_SINGULAR_VALUE,
) -> LabelShift | Abstained:
    """Estimate the window's label distribution.

    Args:
        reference_NK: Softmax outputs on the reference, which the champion did not train on.
        reference_label_N: Index of the true class of each of its clips.
        window_NK: Softmax outputs on the window.
        min_singular_value: Of the confusion by class; below it the estimate would be noise.

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
        missing = ", ".join(map(str, np.flatnonzero(num_clips_K == 0)))
        return Abstained(
            f"The reference has no clips of class {missing}; label some that the champion did not train on."
        )
    answer_given_label_KK = np.stack([sides[0][label_N == k].mean(0, dtype=np.float64) for k in range(num_classes)], 1)
    smallest = np.linalg.svd(answer_given_label_KK, compute_uv=False)[-1]
    if smallest < min_singular_value:
        return Abstained(
            f"The champion confuses classes too much to tell their shares (smallest singular value {smallest:.2f}, "
            f"needed {min_singular_value:g}); train a better model or merge the classes that it confuses."
        )
    share_K = np.linalg.solve(answer_given_label_KK, sides[1].mean(0, dtype=np.float64))
    share_K = np.maximum(share_K, 0.0)
    share_K /= share_K.sum()
    reference_share_K = num_clips_K / len(label_N)
    return LabelShift(share_K, reference_share_K, share_K / reference_share_K)
