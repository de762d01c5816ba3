"""How long the watch would take to notice a change, by simulation.

Legend: R simulated futures, S sources, T days, V numbers of a source-day, B bets.
"""

import numpy as np

from tasks.statistics.betting import in_hand, stake, winnings
from tasks.statistics.strangeness import num_views, p_values
from tasks.statistics.watch_state import WatchState

_MOST_SOURCES, _MOST_PAST_DAYS = 24, 30


def detection_delay(
    state: WatchState,
    shift: float,
    *,
    num_sources: int,
    past_days: int,
    num_numbers: int = 130,
    simulations: int = 30,
    horizon: int = 30,
    seed: int = 0,
) -> int | None:
    """Median number of daily checks until the alarm if all sources changed tomorrow, all in the same way.

    The numbers of source-days are drawn from normal distributions, and from the same moved along one line after the
    change. Changed days join their source's others, as they do in :func:`tasks.statistics.sequential.advance`, so that
    a slow watch may come to take the new world for the usual one. Groups' bettors are left as they are, which errs
    towards late, and so does the bound on sources and days that is drawn.

    Args:
        state: Of the watch today.
        shift: By how many standard deviations of a source's days changed days are moved.
            What sources share on a day is left out.
        num_sources: Sources seen every day; of more than 24, 24 are drawn.
        past_days: Days known of each, the first excluded; of more than 30, 30 are drawn.
        num_numbers: Numbers of a source-day.
        simulations: Futures to draw.
        horizon: Days to look ahead.
        seed: Of the futures.

    Returns:
        Days, from 1; None if half of the futures have no alarm within the horizon.
    """
    rng = np.random.default_rng(seed)
    num_sources, past_days = min(num_sources, _MOST_SOURCES), min(past_days, _MOST_PAST_DAYS)
    day_RSTV = rng.standard_normal((simulations, num_sources, past_days + horizon, num_numbers))
    day_RSTV[:, :, past_days:, 0] += shift
    views = num_views(state.within_day)
    staked_RB: np.ndarray | None = None
    others = state.evidence - 0.5 * state.overall.capital
    delay_R = np.full(simulations, horizon + 1)
    for day in range(horizon):
        now, checks = past_days + day, state.overall.checks + day
        if now:
            p_value_RWS = p_values(
                day_RSTV[:, :, :now],
                np.ones((simulations, num_sources, now), bool),
                day_RSTV[:, :, now],
                rng.random((simulations, num_sources, views)),
            )
            factor_RB = winnings(p_value_RWS, state.within_day).reshape(simulations, -1)
            if staked_RB is None:
                staked_RB = np.tile(state.overall.staked or np.zeros(factor_RB.shape[1]), (simulations, 1))
            staked_RB = stake(staked_RB, checks, factor_RB)
            evidence_R = others + 0.5 * (staked_RB.sum(-1) + in_hand(checks + 1))
            delay_R = np.where(evidence_R >= state.limit, np.minimum(delay_R, day + 1), delay_R)
        if (delay_R <= day + 1).mean() > 0.5:
            break
    median = float(np.median(delay_R))
    return round(median) if median <= horizon else None
