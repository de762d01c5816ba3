"""Whether a confidence of 80% means being right 80% of the time.

Legend: N clips.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def reliability(confidence_N: NDArray[np.floating], correct_N: NDArray[np.bool_], num_bins: int) -> pd.DataFrame:
    """Accuracy by confidence in bins of equal width, without the empty ones.

    Returns:
        Columns ``low``, ``high``, ``clips``, ``confidence`` (their mean) and ``accuracy``, by rising confidence.
    """
    confidence_N = confidence_N.astype(np.float64)
    bin_N = np.minimum((confidence_N * num_bins).astype(int), num_bins - 1)
    clips = np.bincount(bin_N, minlength=num_bins)
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    with np.errstate(invalid="ignore"):
        table = pd.DataFrame(
            {
                "low": edges[:-1],
                "high": edges[1:],
                "clips": clips,
                "confidence": np.bincount(bin_N, confidence_N, num_bins) / clips,
                "accuracy": np.bincount(bin_N, correct_N, num_bins) / clips,
            }
        )
    return table[table["clips"] > 0].reset_index(drop=True)


def expected_calibration_error(bins: pd.DataFrame) -> float:
    """Mean gap between confidence and accuracy, weighted by clips (Naeini et al. 2015; Guo et al. 2017, 1706.04599).

    Args:
        bins: From :func:`reliability`.
    """
    gaps = (bins["confidence"] - bins["accuracy"]).abs()
    return float((gaps * bins["clips"]).sum() / bins["clips"].sum())
