"""Many tests at one level."""

import numpy as np
from numpy.typing import NDArray


def holm(p_value_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values adjusted so that the chance of any false rejection keeps its level (Holm 1979, Scand. J. Stat. 6:65-70).

    Valid however the tests depend on each other.
    """
    order_K = np.argsort(p_value_K, kind="stable")
    remaining_K = np.arange(len(p_value_K), 0, -1)
    adjusted_K = np.empty(len(p_value_K))
    adjusted_K[order_K] = np.minimum(np.maximum.accumulate(p_value_K[order_K] * remaining_K), 1.0)
    return adjusted_K
