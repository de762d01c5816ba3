"""Which classes are more or less frequent in the window than in the reference: it explains and never triggers.

Legend: N clips, K classes or labels.

Where a clip may have several labels, each is a question of two answers (Forman 2008, "Quantifying Counts and Costs via
Classification", in its soft form by Bella et al. 2010): that it is there, and that it is not, are two classes.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from models.clips.label_sets import wanted_of
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
    known = held_out.part(held_out.has_known_label())
    return (_mix_of_labels if window.names_several else _mix_of_classes)(window, known, params, seed)


def _mix_of_classes(window: Outputs, known: Outputs, params: WatchParams, seed: int) -> Mix:
    place_of = {label: place for place, label in enumerate(window.labels)}
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
    return Mix(changed=_changed(_frequency(label, found, place) for place, label in enumerate(window.labels)))


def _mix_of_labels(window: Outputs, known: Outputs, params: WatchParams, seed: int) -> Mix:
    wanted_NK = wanted_of(known.clips, window.labels)
    found: dict[str, Frequency] = {}
    reasons: dict[str, str] = {}
    for place, label in enumerate(window.labels):
        shift = label_shift(
            _yes_and_no(known.probability_NK[:, place]),
            (~wanted_NK[:, place]).astype(np.int64),
            known.clips["source_id"].to_numpy(),
            _yes_and_no(window.probability_NK[:, place]),
            window.clips["source_id"].to_numpy(),
            (label, f"without {label}"),
            resamples=params.bootstrap,
            # All labels together hold as often as asked; of the two classes of a label both say the same.
            confidence=1.0 - 2.0 * (1.0 - params.confidence) / len(window.labels),
            seed=seed,
        )
        if isinstance(shift, Abstained):
            reasons[label] = shift.reason
        else:
            found[label] = _frequency(label, shift, 0)
    if not found:
        return Mix(says=next(iter(reasons.values())))
    changed = _changed(found.values())
    return Mix(changed=changed, says=f"of {', '.join(reasons)} nothing can be said" if changed and reasons else "")


def _yes_and_no(probability_N: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.stack([probability_N, 1.0 - probability_N], axis=1)


def _frequency(label: str, found: LabelShift, place: int) -> Frequency:
    times, low, high = (
        round(float(column_K[place]), _DIGITS) for column_K in (found.weight_K, found.low_K, found.high_K)
    )
    return Frequency(label=label, times=Figure(estimate=times, low=low, high=high))


def _changed(found: Iterable[Frequency]) -> tuple[Frequency, ...]:
    changed = [one for one in found if one.times.low > 1 or one.times.high < 1]
    return tuple(sorted(changed, key=_factor, reverse=True))


def _factor(one: Frequency) -> float:
    """How many times as often or as seldom."""
    return max(one.times.estimate, 1 / max(one.times.estimate, 1e-6))
