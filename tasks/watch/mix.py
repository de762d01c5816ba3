"""Which classes are more or less frequent in the window than in the reference: it explains and never triggers."""

import numpy as np
from numpy.typing import NDArray

from tasks.labelling.outputs import Outputs
from tasks.params.watch import WatchParams
from tasks.statistics.label_shift import LabelShift, label_shift
from tasks.statistics.outcome import Abstained
from tasks.watch.findings import Figure, Frequency, Mix

_DIGITS = 6


def class_mix(window: Outputs, held_out: Outputs, params: WatchParams, seed: int) -> Mix:
    """The classes whose interval over sources excludes once as often.

    Args:
        window: What the champion makes of it.
        held_out: What it makes of clips of the reference that it did not train on, with their ``label``.
        params: Section ``watch``.
        seed: Of the resampling.

    Raises:
        UserError: A probability is not finite.
    """
    place_of = {label: place for place, label in enumerate(window.labels)}
    known = held_out.part(held_out.clips["label"].isin(window.labels).to_numpy())
    found = label_shift(
        known.probability_NK,
        known.clips["label"].map(place_of).to_numpy(np.int64),
        known.clips["source_id"].to_numpy(),
        window.probability_NK,
        window.clips["source_id"].to_numpy(),
        window.labels,
        resamples=params.bootstrap,
        confidence=params.confidence,
        seed=seed,
    )
    if isinstance(found, Abstained):
        return Mix(says=found.reason)
    rows = zip(window.labels, *(column_K.round(_DIGITS).tolist() for column_K in _columns(found)), strict=True)
    changed = [
        Frequency(label=label, times=Figure(estimate=times, low=low, high=high))
        for label, times, low, high in rows
        if low > 1 or high < 1
    ]
    return Mix(changed=tuple(sorted(changed, key=_factor, reverse=True)))


def _columns(found: LabelShift) -> tuple[NDArray[np.float64], ...]:
    return found.weight_K, found.low_K, found.high_K


def _factor(one: Frequency) -> float:
    """How many times as often or as seldom."""
    return max(one.times.estimate, 1 / max(one.times.estimate, 1e-6))
