"""Resampling whole sources of two samples that may share some.

Legend: N clips of a side, R resamples, S sources of a side.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]


def source_weights(
    reference_sources: Sequence[Any] | NDArray[Any],
    window_sources: Sequence[Any] | NDArray[Any],
    *,
    resamples: int,
    seed: int,
) -> tuple[_Floats, _Floats]:
    """Weights of each side's sources in each resample, shapes (R, S), sources in sorted order.

    Sources on both sides are drawn with both their sides, so that what they share drops out of a difference. Those of
    one side are drawn among themselves. Of S sources S - 1 are drawn and weigh S / (S - 1), which makes the variance
    over resamples that over new sources (Rao & Wu 1988, JASA 83:231-241); one alone is always there.
    """
    reference, window = np.unique(np.asarray(reference_sources)), np.unique(np.asarray(window_sources))
    shared = np.intersect1d(reference, window)
    rng = np.random.default_rng(seed)
    weight_of_shared = _weights(len(shared), resamples, rng)
    sides = []
    for side in (reference, window):
        is_shared_S = np.isin(side, shared)
        weight_RS = np.empty((resamples, len(side)))
        weight_RS[:, is_shared_S] = weight_of_shared
        weight_RS[:, ~is_shared_S] = _weights(int((~is_shared_S).sum()), resamples, rng)
        sides.append(weight_RS)
    return sides[0], sides[1]


def _weights(num_sources: int, resamples: int, rng: np.random.Generator) -> _Floats:
    if num_sources < 2:
        return np.ones((resamples, num_sources))
    draws_RS = rng.multinomial(num_sources - 1, np.full(num_sources, 1 / num_sources), resamples)
    weight_RS: _Floats = draws_RS.astype(np.float64) * (num_sources / (num_sources - 1))
    return weight_RS
