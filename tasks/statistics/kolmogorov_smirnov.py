"""Kolmogorov-Smirnov distances of many columns, with p-values from permutations of whole units.

Legend: N clips of a side, M clips kept of both sides, K columns, U units, G grid points, B permutations.

The distance is between the two sides' mean distribution functions, each unit's counting once. It is taken at quantiles
of both sides pooled, which no permutation changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.statistics.holm import holm
from tasks.statistics.outcome import Abstained
from tasks.statistics.permutation import gather_units, permutation_p_values

_NUM_GRID_POINTS = 32
_DIGITS = 5

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ColumnTests:
    """What one test a column says.

    Attributes:
        distance_K: Largest difference of the two distribution functions, 0 to 1.
        p_value_K: Of each column alone.
        adjusted_K: The same, adjusted by Holm's method: below a level only by a chance below it, for all columns
            together.
        num_reference: Units of the reference.
        num_window: Units of the window.
    """

    distance_K: NDArray[np.float64]
    p_value_K: NDArray[np.float64]
    adjusted_K: NDArray[np.float64]
    num_reference: int
    num_window: int

    @property
    def p_value(self) -> float:
        """Of the hypothesis that no column has changed."""
        return float(self.adjusted_K.min())


def compare_columns(
    reference_NK: NDArray[np.floating],
    reference_units: Sequence[Any] | NDArray[Any],
    window_NK: NDArray[np.floating],
    window_units: Sequence[Any] | NDArray[Any],
    *,
    permutations: int,
    level: float,
    min_units: int,
    seed: int,
) -> ColumnTests | Abstained:
    """Test every column; arguments as for :func:`tasks.statistics.mmd.mmd_fuse`."""
    num_columns = reference_NK.shape[1]
    shared: dict[str, Any] = {"level": level, "num_tests": num_columns, "seed": seed}
    units = gather_units(reference_units, window_units, min_units=min_units, **shared)
    if isinstance(units, Abstained):
        return units
    value_MK = units.pick(reference_NK, window_NK)
    mean_UM = units.averaging()
    grid_GK = np.quantile(value_MK, np.linspace(0.0, 1.0, _NUM_GRID_POINTS + 1)[:-1], axis=0).astype(np.float32)
    below_KUG = np.stack([mean_UM @ (value_MK[:, [k]] <= grid_GK[:, k]).astype(np.float32) for k in range(num_columns)])

    def distances(in_window_BU: _Floats) -> NDArray[np.floating]:
        sign_BU = in_window_BU / units.num_window - (1 - in_window_BU) / units.num_reference
        distance_BK = np.stack([np.abs(sign_BU @ below_UG).max(1) for below_UG in below_KUG], axis=1)
        # Means of the same ones differ by rounding, which must not tell sides apart.
        rounded_BK: NDArray[np.floating] = np.round(distance_BK, _DIGITS)
        return rounded_BK

    distance_K, p_value_K = permutation_p_values(distances, units, permutations=permutations, **shared)
    return ColumnTests(distance_K, p_value_K, holm(p_value_K), units.num_reference, units.num_window)
