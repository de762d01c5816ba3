"""What has become of the champion's accuracy on a part of the window.

Legend: N clips.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.labelling.outputs import Outputs
from tasks.params.watch import WatchParams
from tasks.statistics.harm import measured_drop
from tasks.statistics.outcome import Abstained
from tasks.statistics.thresholded_confidence import estimated_accuracy, negative_entropy
from tasks.watch.findings import UNSEEN, Figure, Harm
from tasks.watch.strata import stands_for, unseen

_DIGITS = 6


def harm_in(
    part: Outputs, held_out: Outputs, splits: Mapping[str, str], params: WatchParams, seed: int
) -> tuple[Harm, ...]:
    """What has become of accuracy, estimated and, where there are labels, measured.

    Args:
        part: Of the window; not empty.
        held_out: Of the reference: clips that the champion did not train on, with their labels.
        splits: What each source of the champion's dataset was for.
        params: Section ``watch``.
        seed: Of every random choice.
    """
    estimated = estimated_accuracy(
        _certainty(held_out),
        _right(held_out),
        held_out.clips["source_id"].to_numpy(),
        _certainty(part),
        part.clips["source_id"].to_numpy(),
        **_bootstrap(params, seed),
    )
    harm = [
        Harm(how="estimated", says=estimated.reason)
        if isinstance(estimated, Abstained)
        else Harm(
            how="estimated",
            before=estimated.reference_accuracy,
            after=_figure(estimated.accuracy),
            drop=_figure(estimated.drop),
            clips=len(part.clips),
        )
    ]
    is_unseen_N, tells_N = unseen(part, splits), _weight(part, splits) > 0
    if (tells_N & ~is_unseen_N).any():
        like, like_before = part.part(is_unseen_N), held_out.part(unseen(held_out, splits))
        among = _measured(like, like_before, splits, params, seed, of=UNSEEN)
        harm += [among] if among.drop else []
    if tells_N.any():
        harm.append(_measured(part, held_out, splits, params, seed))
    return tuple(harm)


def _weight(part: Outputs, splits: Mapping[str, str]) -> NDArray[np.float64]:
    return stands_for(part.clips, part.clips["label"].notna().to_numpy(bool), splits)


def _measured(
    part: Outputs,
    held_out: Outputs,
    splits: Mapping[str, str],
    params: WatchParams,
    seed: int,
    of: str = "",
) -> Harm:
    weight_N = _weight(part, splits)
    labelled = part.part(weight_N > 0)
    # Others than these count for themselves alone and make no measurement larger, unless nothing is left to stand for.
    is_census = len(labelled.clips) == len(part.clips)
    clips = len(labelled.clips) if is_census else int(labelled.clips["measures"].sum())
    measured = measured_drop(
        _right(held_out),
        held_out.clips["source_id"].to_numpy(),
        _right(labelled),
        labelled.clips["source_id"].to_numpy(),
        window_weight_N=weight_N[weight_N > 0],
        **_bootstrap(params, seed),
    )
    if isinstance(measured, Abstained):
        return Harm(how="measured", of=of, says=measured.reason, clips=clips)
    return Harm(
        how="measured",
        of=of,
        before=measured.reference_accuracy,
        after=Figure(
            estimate=measured.window_accuracy,
            low=max(0.0, measured.reference_accuracy - measured.drop.high),
            high=min(1.0, measured.reference_accuracy - measured.drop.low),
        ),
        drop=_figure(measured.drop),
        clips=clips,
    )


def _bootstrap(params: WatchParams, seed: int) -> dict[str, Any]:
    return {"resamples": params.bootstrap, "confidence": params.confidence, "seed": seed}


def _right(outputs: Outputs) -> NDArray[np.bool_]:
    """Whether the champion is right, of several labels about all; about a class that it does not know it never is."""
    right_N: NDArray[np.bool_] = outputs.said() == outputs.clips["label"].to_numpy()
    return right_N


def _certainty(outputs: Outputs) -> NDArray[np.floating]:
    """The score whose threshold estimates accuracy: of a class negative entropy, of a set of labels its probability.

    What a threshold other than one half makes of a probability, entropy does not see.
    """
    return outputs.confidence() if outputs.names_several else negative_entropy(outputs.probability_NK)


def _figure(interval: Any) -> Figure:
    return Figure(
        estimate=round(interval.estimate, _DIGITS), low=round(interval.low, _DIGITS), high=round(interval.high, _DIGITS)
    )
