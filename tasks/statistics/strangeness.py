"""How strange source-days are: the rank of each among earlier days of the same source, seen in several ways.

Legend: S sources, N earlier days, V numbers of a source-day, W views. Leading dimensions are kept.

A conformal p-value is the share of a source's days, the new one included, that are at least as strange as the new one.
What counts as strange is free, as long as it treats that source's days alike:

- *Distance* from the mean of the source's days finds whatever changes, and needs much of it: in V numbers one moved day
  is hardly farther out than others.
- *Toward* where other sources have moved in the days before. A new look moves cameras alike, and along one line a move
  is seen that in all V numbers drowns. The direction is the mean difference of other sources' last few days from their
  earlier ones, by component over its variance within sources (as in Fisher's discriminant). Today's own moves have no
  part in it: they would make a change of the very first day, and of each single day that sources share, such as rain.

Sources stand in an order that nothing observed decides, and a direction is taken from those before it only. So given
all days of the sources before it, a source's p-values are ranks by scores that its own days had no part in: uniform and
independent (Vovk, Gammerman & Shafer 2005, *Algorithmic Learning in a Random World*, 8.1-8.2: the score may differ from
step to step). By induction over sources all p-values of one order are. The reverse order is a second view, as the first
sources have nobody before them.

Sources that share a day's luck say the same thing several times. How many times is the design effect (Kish 1965,
*Survey Sampling*, 5.4), 1 + (sources - 1) x correlation; bets are raised to the power of its inverse. The correlation
comes from an analysis of variance of differences between successive days, in which a change that stays counts once, and
from the sources before: where sources are independent no power of a bet is expected to win (Jensen), at any check. That
the evidence ever reaches the limit no more often than it may is measured (`bench/drift_calibration`) and not proved, as
the estimate knows more of the days than their ranks.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.statistics.betting import WithinDay

RECENT_DAYS = (1, 3, 7)
"""How many last days a direction is taken from: a few for what has just come, more for what is small."""

_MIN_BEFORE = 3
_PRIOR_DAYS = 10
_DAYS_OF_LUCK, _MIN_DAYS_OF_LUCK = 64, 3
"""Days from which the correlation is estimated: the last so many, and not from fewer."""
_TIE = 1e-9
_TINY = 1e-12

_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]


def num_views(within_day: WithinDay) -> int:
    """Distance, and toward each of the directions in both orders; only distance where sources share a day's luck.

    Then averaged bets say so little in any case that seven views would say less.
    """
    return 1 + 2 * len(RECENT_DAYS) if within_day == "product" else 1


def p_values(
    past_SNV: _Floats, known_SN: _Bools, new_SV: _Floats, tie_SW: _Floats, num_before: int | None = None
) -> _Floats:
    """P-values of one new day of each source, shape (..., W, S).

    Args:
        past_SNV: Days seen, in order, the same for all sources; what is not known counts for nothing.
        known_SN: On which days each source was seen; on none, its p-values are ties with itself.
        new_SV: The new day; not a number for sources that have none today, which still show where the world moves.
        tie_SW: Uniform random numbers, the share of ties (the new day itself one of them) that count as stranger.
        num_before: Days that are before the new one: directions come from these alone. Others may be there, as sources
            bring theirs at different times. All by default.

    Returns:
        Not a number for sources without a new day.
    """
    score_SX = _distances(past_SNV, known_SN, new_SV)
    found = [_rank(score_SX[..., :-1], known_SN, score_SX[..., -1], tie_SW[..., 0])]
    before = past_SNV[..., :num_before, :], known_SN[..., :num_before]
    directions = _directions(*before) if tie_SW.shape[-1] > 1 else ()
    for view, toward_SV in enumerate(directions, start=1):
        past_SN = np.einsum("...snv,...sv->...sn", past_SNV, toward_SV)
        along_S = np.einsum("...sv,...sv->...s", new_SV, toward_SV)
        p_value_S = _rank(past_SN, known_SN, along_S, tie_SW[..., view])
        found.append(np.where((toward_SV != 0.0).any(-1), p_value_S, found[0]))
    p_value_WS: _Floats = np.stack(found, axis=-2)
    absent_1S = np.asarray(np.isnan(new_SV).any(-1))[..., None, :]
    return np.where(absent_1S, np.nan, p_value_WS)


def correlations(past_SNV: _Floats, known_SN: _Bools, views: int) -> _Floats:
    """What sources have in common on a day, as the sources before each show it, shape (..., W, S).

    Args:
        past_SNV: Days before the new one; as in :func:`p_values`.
        known_SN: Likewise.
        views: How many; of 1 only, whose averaged bets are right whatever is shared, it is 0.
    """
    if views == 1:
        return np.zeros((*past_SNV.shape[:-3], 1, past_SNV.shape[-3]))
    forward_S, backward_S = (
        _shared(past_SNV[..., ::way, :, :], known_SN[..., ::way, :])[..., ::way] for way in (1, -1)
    )
    return np.stack([forward_S, *([forward_S, backward_S] * len(RECENT_DAYS))], axis=-2)


def conformal_p_value(known_UV: _Floats, vector: ArrayLike, tie: float) -> float:
    """The same for one vector among those of its category, by distance."""
    known_UV = np.asarray(known_UV, np.float64)
    everything_N = np.ones((1, len(known_UV)), bool)
    score_X = _distances(known_UV[None], everything_N, np.asarray(vector, np.float64)[None])
    return float(_rank(score_X[:, :-1], everything_N, score_X[:, -1], np.array([tie]))[0])


def _distances(past_SNV: _Floats, known_SN: _Bools, new_SV: _Floats) -> _Floats:
    """Squared, from the mean of all days of the source, the new one included; that one is the last column."""
    all_SXV = np.concatenate((past_SNV, new_SV[..., None, :]), axis=-2)
    counted_SX = np.concatenate((known_SN, np.ones((*known_SN.shape[:-1], 1), bool)), axis=-1)[..., None]
    mean_S1V = (all_SXV * counted_SX).sum(-2, keepdims=True) / counted_SX.sum(-2, keepdims=True)
    distance_SX: _Floats = np.square(all_SXV - mean_S1V).sum(-1)
    return distance_SX


def _rank(score_SN: _Floats, known_SN: _Bools, new_S: _Floats, tie_S: _Floats) -> _Floats:
    slack_S1 = _TIE * np.abs(new_S)[..., None]
    stranger_S = (known_SN & (score_SN > new_S[..., None] + slack_S1)).sum(-1)
    tied_S = 1 + (known_SN & (np.abs(score_SN - new_S[..., None]) <= slack_S1)).sum(-1)
    p_value_S: _Floats = (stranger_S + tie_S * tied_S) / (known_SN.sum(-1) + 1)
    return p_value_S


def _directions(past_SNV: _Floats, known_SN: _Bools) -> Iterator[_Floats]:
    """By recent days and order: where the sources before each have moved, shape (..., S, V); 0 where too few have."""
    known_SN1 = known_SN[..., None].astype(float)
    num_S1 = known_SN1.sum(-2)
    total_SV = (past_SNV * known_SN1).sum(-2)
    scatter_SV = np.square(_residual(past_SNV, known_SN1)).sum(-2)
    freedom_S1 = np.maximum(num_S1 - 1, 0)
    for days in RECENT_DAYS:
        late_S1 = known_SN1[..., -days:, :].sum(-2)
        early_S1 = num_S1 - late_S1
        late_SV = (past_SNV * known_SN1)[..., -days:, :].sum(-2)
        shows_S1 = (late_S1 > 0) & (early_S1 > 0)
        moved_SV = late_SV / np.maximum(late_S1, 1) - (total_SV - late_SV) / np.maximum(early_S1, 1)
        # As precise as the means that it is the difference of.
        weight_S1 = np.where(shows_S1, 1 / (1 / np.maximum(late_S1, 1) + 1 / np.maximum(early_S1, 1)), 0.0)
        for way in (1, -1):
            num_before, moved, scatter, freedom = (
                _before(values[..., ::way, :])[..., ::way, :]
                for values in (shows_S1.astype(float), weight_S1 * moved_SV, scatter_SV, freedom_S1)
            )
            usual = scatter.mean(-1, keepdims=True) / np.maximum(freedom, 1)
            variance = (scatter + _PRIOR_DAYS * usual) / (freedom + _PRIOR_DAYS)
            yield np.where(num_before >= _MIN_BEFORE, moved / np.maximum(variance, _TINY), 0.0)


def _shared(past_SNV: _Floats, known_SN: _Bools) -> _Floats:
    """Correlation within days, from the sources before each: 0 where they are too few, or days are. Shape (..., S)."""
    late = slice(-_DAYS_OF_LUCK - 1, None)
    day_SNV, seen_SN = past_SNV[..., late, :], known_SN[..., late]
    both_SN1 = (seen_SN[..., 1:] & seen_SN[..., :-1])[..., None].astype(float)
    moved_SNV = np.diff(day_SNV, axis=-2) * both_SN1
    num_SN1 = both_SN1.cumsum(-3) - both_SN1
    sum_SNV = moved_SNV.cumsum(-3) - moved_SNV
    between_S = (np.square(sum_SNV) / np.maximum(num_SN1, 1)).sum((-2, -1))
    total_S = np.square(moved_SNV).sum((-2, -1))
    within_S = np.maximum(total_S.cumsum(-1) - total_S - between_S, 0.0)
    num_days_S, num_units_S = (num_SN1 > 0).sum((-2, -1)), num_SN1.sum((-2, -1))
    freedom_S = num_units_S - num_days_S
    num_sources_S = _before(both_SN1.any((-2, -1)).astype(float)[..., None])[..., 0]
    enough_S = (num_sources_S >= _MIN_BEFORE) & (num_days_S >= _MIN_DAYS_OF_LUCK) & (freedom_S > 0) & (within_S > 0.0)
    usual_S = np.where(enough_S, within_S / np.maximum(freedom_S, 1), 1.0)
    excess_S = np.where(enough_S, np.maximum(between_S / np.maximum(num_days_S, 1) / usual_S - 1, 0.0), 0.0)
    per_day_S = num_units_S / np.maximum(num_days_S, 1)
    correlation_S: _Floats = excess_S / np.maximum(excess_S + per_day_S, _TINY)
    return correlation_S


def _residual(past_SNV: _Floats, known_SN1: _Floats) -> _Floats:
    """From each source's mean over the days on which it was seen; 0 on others."""
    mean_S1V = (past_SNV * known_SN1).sum(-2, keepdims=True) / np.maximum(known_SN1.sum(-2, keepdims=True), 1)
    residual_SNV: _Floats = (past_SNV - mean_S1V) * known_SN1
    return residual_SNV


def _before(values_SX: _Floats) -> _Floats:
    """Sums over the sources before each."""
    sums_SX: _Floats = values_SX.cumsum(-2) - values_SX
    return sums_SX
