"""Have the champion's answers changed? Black-box shift detection.

Legend: N clips of a side, K classes.

Lipton, Wang & Smola 2018, "Detecting and Correcting for Label Shift with Black Box Predictors", 1802.03916; a
Kolmogorov-Smirnov test a class on softmax outputs as in Rabanser, Guennemann & Lipton 2019, "Failing Loudly",
1810.11953, there with Bonferroni over clips, here with permutations of whole units and Holm's method.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.statistics.kolmogorov_smirnov import ColumnTests, compare_columns
from tasks.statistics.outcome import Abstained, two_sides
from tasks.statistics.permutation import MIN_UNITS


def bbsd(
    reference_NK: ArrayLike,
    reference_units: Sequence[Any] | NDArray[Any],
    window_NK: ArrayLike,
    window_units: Sequence[Any] | NDArray[Any],
    *,
    permutations: int = 500,
    level: float = 0.05,
    min_units: int = MIN_UNITS,
    seed: int = 0,
) -> ColumnTests | Abstained:
    """Test whether both sides' softmax outputs are of one distribution; a column a class.

    Args:
        reference_NK: Softmax outputs of the champion on the reference.
        reference_units: The unit of each clip: its source, or its source and day.
        window_NK: The same on the window.
        window_units: Its units.
        permutations: Permutations of units; more are drawn where many classes need them.
        level: At which the p-value will be read; where units are too few to reach it, the test abstains.
        min_units: Units that each side needs.
        seed: Of permutations and of the choice of clips.

    Raises:
        UserError: A probability is not finite, or the two sides' numbers of classes differ.
    """
    sides = two_sides(reference_NK, window_NK, "softmax")
    if isinstance(sides, Abstained):
        return sides
    if np.ptp(np.concatenate(sides), axis=0).max() == 0:
        return Abstained("The champion answers the same for every clip; check its model and the video.")
    return compare_columns(
        sides[0],
        reference_units,
        sides[1],
        window_units,
        permutations=permutations,
        level=level,
        min_units=min_units,
        seed=seed,
    )
