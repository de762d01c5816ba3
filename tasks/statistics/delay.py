"""How long the watch would take to notice a change, by simulation.

Legend: R simulated futures, S sources, T days, E exponents.
"""

import numpy as np

from tasks.statistics.betting import in_hand, stake, winnings
from tasks.statistics.watch_state import WatchState


def detection_delay(
    state: WatchState,
    shift: float,
    *,
    num_sources: int,
    past_days: int,
    simulations: int = 200,
    horizon: int = 90,
    seed: int = 0,
) -> int | None:
    """Median number of daily checks until the alarm if all sources changed tomorrow.

    A source-day's distance from its category's mean is drawn from a normal distribution, and from the same moved by
    ``shift`` after the change. Changed days join their category, as they do in :func:`advance`, so that a slow watch
    may come to take the new world for the usual one. Groups' bettors are left as they are, which errs towards late.

    Args:
        state: Of the watch today.
        shift: By how many standard deviations of its distances on usual days a changed source-day is farther.
        num_sources: Sources seen every day.
        past_days: Days known of each, the first excluded.
        simulations: Futures to draw.
        horizon: Days to look ahead.
        seed: Of the futures.

    Returns:
        Days, from 1; None if half of the futures have no alarm within the horizon.
    """
    rng = np.random.default_rng(seed)
    distance_RST = rng.standard_normal((simulations, num_sources, past_days + horizon))
    distance_RST[..., past_days:] += shift
    tie_RST = rng.random(distance_RST.shape)
    staked_RE = np.tile(state.overall.staked, (simulations, 1))
    others = state.evidence - 0.5 * state.overall.capital
    delay_R = np.full(simulations, horizon + 1)
    for day in range(horizon):
        now = past_days + day
        rank_RS = (distance_RST[..., :now] > distance_RST[..., now, None]).sum(-1)
        p_value_RS = (rank_RS + tie_RST[..., now]) / (now + 1)
        checks = state.overall.checks + day
        if now:
            staked_RE = stake(staked_RE, checks, winnings(p_value_RS, state.within_day))
        evidence_R = others + 0.5 * (staked_RE.sum(-1) + in_hand(checks + 1))
        delay_R = np.where(evidence_R >= state.limit, np.minimum(delay_R, day + 1), delay_R)
    median = float(np.median(delay_R))
    return round(median) if median <= horizon else None
