"""Average precision: how well a model ranks the clips that show something above those that do not.

Legend: N clips, K labels, R resamples, S sources, U units that are resampled.

The mean over labels, mAP, is the measure of datasets whose clips have several labels (Charades: Sigurdsson et al. 2016,
arXiv:1604.01753; AVA: Gu et al. 2018, arXiv:1705.08421). It needs no threshold. Average precision is the sum of the
precisions at each score, weighted by the recall that is gained there; clips of equal score come in together.

It is no mean over clips, so its interval comes from resampling: the cluster bootstrap, with the corrections for few
sources of :mod:`tasks.statistics.bootstrap`. A resample without any clip of a label leaves that label out.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.statistics.bootstrap import Interval, logit_interval

_Floats = NDArray[np.floating]
_CELLS = 1 << 23


def average_precisions(score_NK: _Floats, wanted_NK: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision of each label; NaN where no clip has it.

    Args:
        score_NK: Larger where a label is likelier.
        wanted_NK: Which clip has which label.
    """
    once_1N = np.ones((1, len(score_NK)))
    found_K: NDArray[np.float64] = _weighted(score_NK, wanted_NK, once_1N)[0]
    return found_K


def mean_average_precision(score_NK: _Floats, wanted_NK: NDArray[np.bool_]) -> float:
    """The mean over labels that some clip has; NaN where there is none."""
    return float(_mean(average_precisions(score_NK, wanted_NK)[None])[0])


def map_interval(
    score_NK: _Floats,
    wanted_NK: NDArray[np.bool_],
    source_ids: Sequence[Any] | NDArray[Any],
    *,
    minus_NK: _Floats | None = None,
    resamples: int,
    confidence: float,
    seed: int,
) -> Interval:
    """Mean average precision, with an interval for clips of new sources of the same kind.

    Args:
        score_NK: Larger where a label is likelier.
        wanted_NK: Which clip has which label; at least one has one.
        source_ids: The source of each clip.
        minus_NK: Other scores of the same clips; with them it is the difference, paired.
        resamples: Bootstrap resamples.
        confidence: Such as 0.95.
        seed: Of the resampling.
    """
    tested_K = wanted_NK.any(0)
    if not tested_K.any():
        raise ValueError("no clip has any of the labels, so that there is nothing to rank")
    sides = [side_NK[:, tested_K] for side_NK in (score_NK, minus_NK) if side_NK is not None]
    wanted_NK = wanted_NK[:, tested_K]
    low, high = (0.0, 1.0) if minus_NK is None else (-1.0, 1.0)
    source_N = np.unique(np.asarray(source_ids), return_inverse=True)[1]
    num_sources = int(source_N.max()) + 1
    estimate = float(_differences(sides, wanted_NK, np.ones((1, len(source_N))))[0])
    error = _standard_error(sides, wanted_NK, source_N, resamples, seed)
    error *= math.sqrt(num_sources / max(num_sources - 1, 1))
    if num_sources < len(source_N):  # never surer than with as many independent clips
        error = max(error, _standard_error(sides, wanted_NK, np.arange(len(source_N)), resamples, seed))
    reach = high - low
    ends = logit_interval((estimate - low) / reach, error / reach, num_sources, confidence)
    below, above = (low + reach * end for end in ends)
    return Interval(estimate, min(below, estimate), max(above, estimate))


def _standard_error(
    sides: Sequence[_Floats], wanted_NK: NDArray[np.bool_], unit_N: NDArray[np.integer], resamples: int, seed: int
) -> float:
    num_units, rng = int(unit_N.max()) + 1, np.random.default_rng(seed)
    at_a_time = max(1, _CELLS // len(unit_N))
    found = [
        _differences(sides, wanted_NK, _draws(num_units, min(at_a_time, resamples - first), rng)[:, unit_N])
        for first in range(0, resamples, at_a_time)
    ]
    found_R = np.concatenate(found)
    return float(found_R[~np.isnan(found_R)].std(ddof=1))


def _draws(num_units: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.multinomial(num_units, [1 / num_units] * num_units, resamples).astype(np.float64)


def _differences(
    sides: Sequence[_Floats], wanted_NK: NDArray[np.bool_], weight_RN: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of one side its mean average precision in each resample; of two the difference."""
    found = [_mean(_weighted(side_NK, wanted_NK, weight_RN)) for side_NK in sides]
    return found[0] - found[1] if len(found) == 2 else found[0]


def _mean(ap_RK: NDArray[np.float64]) -> NDArray[np.float64]:
    is_there_RK = ~np.isnan(ap_RK)
    with np.errstate(invalid="ignore"):
        mean_R: NDArray[np.float64] = np.where(is_there_RK, ap_RK, 0.0).sum(1) / is_there_RK.sum(1)
    return mean_R


def _weighted(score_NK: _Floats, wanted_NK: NDArray[np.bool_], weight_RN: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average precision of each label where each clip is there so many times, shape (R, K)."""
    return np.stack(
        [_of_label(score_N, wanted_N, weight_RN) for score_N, wanted_N in zip(score_NK.T, wanted_NK.T, strict=True)],
        axis=1,
    )


def _of_label(score_N: _Floats, wanted_N: NDArray[np.bool_], weight_RN: NDArray[np.float64]) -> NDArray[np.float64]:
    order_N = np.argsort(-score_N, kind="stable")
    is_last_N = np.append(np.diff(score_N[order_N]) != 0, True)
    ordered_RN = weight_RN[:, order_N]
    hits_RE = np.cumsum(ordered_RN * wanted_N[order_N], axis=1)[:, is_last_N]
    taken_RE = np.cumsum(ordered_RN, axis=1)[:, is_last_N]
    precision_RE = hits_RE / np.maximum(taken_RE, 1.0)
    gained_RE = np.diff(hits_RE, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore"):
        found_R: NDArray[np.float64] = (precision_RE * gained_RE).sum(1) / hits_RE[:, -1]
    return found_R
