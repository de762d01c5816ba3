"""The interval of a share of independent trials."""

import math

from scipy.special import ndtri

from tasks.statistics.bootstrap import Interval


def wilson(successes: int, trials: int, *, confidence: float) -> Interval:
    """The score interval (Wilson 1927, "Probable inference", JASA 22:209-212).

    For the clips of one source it says how well its accuracy is known, and nothing about other sources.

    Raises:
        ValueError: There is no trial.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} of {trials}")
    share = successes / trials
    z2 = float(ndtri(0.5 + confidence / 2)) ** 2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    reach = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * trials)) / trials) / (1 + z2 / trials)
    # At the ends rounding could put the share itself just outside.
    return Interval(share, max(0.0, min(centre - reach, share)), min(1.0, max(centre + reach, share)))
