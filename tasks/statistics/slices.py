"""Parts of the test split in which a model may be worse than on the whole: sources, hours, light, sizes.

Legend: N clips.

Many slices are looked at together, and among many some look bad by chance. Their intervals therefore hold together: all
of them at once with the wanted confidence (Bonferroni's inequality), and a slice is called worse only where its whole
interval lies below the accuracy of all clips.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.statistics.bootstrap import Interval, source_bootstrap
from tasks.statistics.proportion import wilson

FEWEST_CLIPS = 10
"""Smaller slices are left out: their intervals say nothing, and widen those of the others."""

SOURCE, HOUR, BRIGHTNESS, SIZE = "source", "hour of day (UTC)", "brightness", "shorter side"

_HOURS = (0, 6, 12, 18, 24)
_SIDES = (240, 480, 720, 1080)
_Mask = NDArray[np.bool_]


def slices(
    clips: pd.DataFrame, correct_N: NDArray[np.bool_], *, resamples: int, confidence: float, seed: int
) -> pd.DataFrame:
    """Accuracy by slice.

    Hours are four quarters of the day in UTC, brightness is cut into thirds of these clips, sizes at the usual heights
    of video. What does not vary gives no slices.

    Args:
        clips: Rows of the manifest.
        correct_N: Whether the model is right.
        resamples: Bootstrap resamples of whole sources. A single source has no other one to resample: its interval
            (Wilson) is for more clips of that same source.
        confidence: With which all intervals hold together.
        seed: Of the resampling.

    Returns:
        Columns ``by``, ``slice``, ``clips``, ``sources``, ``accuracy``, ``low``, ``high`` and ``worse``; kinds in the
        order above, their slices in natural order.
    """
    found = [
        (by, name, mask_N)
        for by, parts in _kinds(clips)
        for name, mask_N in parts
        if FEWEST_CLIPS <= mask_N.sum() < len(clips)
    ]
    sampled = partial(
        source_bootstrap, resamples=resamples, confidence=1.0 - (1.0 - confidence) / max(len(found), 1), seed=seed
    )
    alone = partial(wilson, confidence=1.0 - (1.0 - confidence) / max(len(found), 1))
    source_N, overall = clips["source_id"].to_numpy(), float(correct_N.mean())

    def row(by: str, name: str, mask_N: _Mask) -> tuple[str, str, int, int, float, float, float, bool]:
        right_N = correct_N[mask_N]
        interval: Interval = (
            alone(int(right_N.sum()), len(right_N)) if by == SOURCE else sampled(right_N, source_N[mask_N])
        )
        num_sources = len(np.unique(source_N[mask_N]))
        ends = interval.estimate, interval.low, interval.high
        return by, name, len(right_N), num_sources, *ends, interval.high < overall

    columns = ["by", "slice", "clips", "sources", "accuracy", "low", "high", "worse"]
    return pd.DataFrame([row(*each) for each in found], columns=columns).astype({"worse": bool})


def worst(table: pd.DataFrame) -> dict[str, Any]:
    """The slice of :func:`slices` that is called worse and has the least accuracy; empty where none is."""
    named = table[table["worse"]].sort_values("accuracy", kind="stable").drop(columns="worse")
    return {str(column): value for row in named.head(1).to_dict("records") for column, value in row.items()}


def _kinds(clips: pd.DataFrame) -> Iterator[tuple[str, list[tuple[str, _Mask]]]]:
    source_N = clips["source_id"].to_numpy()
    yield SOURCE, [(str(source), source_N == source) for source in sorted(set(source_N))]
    hour_N = clips["captured_at"].dt.hour.to_numpy(dtype=np.float64, na_value=np.nan)
    yield HOUR, [(f"{low:02} to {high:02} h", (hour_N >= low) & (hour_N < high)) for low, high in pairwise(_HOURS)]
    yield BRIGHTNESS, list(_thirds(clips["brightness"].to_numpy(np.float64)))
    side_N = clips[["width", "height"]].min(axis=1).to_numpy()
    names = [f"below {_SIDES[0]} px", *(f"from {side} px" for side in _SIDES)]
    band_N = np.searchsorted(_SIDES, side_N, side="right")
    yield SIZE, [(name, band_N == band) for band, name in enumerate(names)]


def _thirds(value_N: NDArray[np.float64]) -> Iterator[tuple[str, _Mask]]:
    low, high = np.quantile(value_N, [1 / 3, 2 / 3])
    yield f"below {low:.0f}", value_N < low
    yield f"{low:.0f} to {high:.0f}", (value_N >= low) & (value_N <= high)
    yield f"above {high:.0f}", value_N > high
