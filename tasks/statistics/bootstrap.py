"""Confidence intervals from resampling whole sources.

Legend: R resamples, S sources, N clips.

The cluster bootstrap draws sources with replacement and takes all clips of each (Davison & Hinkley 1997, *Bootstrap
Methods and their Application*, 3.8; Field & Welsh 2007, "Bootstrapping clustered data", JRSS B 69:369-390). Test sets
have few sources, and there the plain percentile interval is far too short: with 4 sources it holds the truth 79% of the
time at a nominal 95%. The interval here is built from the bootstrap's standard error instead:

- times ``sqrt(S / (S - 1))``, since resamples of S sources vary less than new sources do, and with Student's quantile
  of S - 1 degrees of freedom (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", Am. Stat. 69:371-386;
  Cameron, Gelbach & Miller 2008, "Bootstrap-based improvements for inference with clustered errors");
- on the logit scale between the statistic's bounds, so that it stays within them and leans to the side where there is
  room (Korn & Graubard 1998, "Confidence intervals for proportions ... from survey data", Surv. Methodol. 24:193-201).

The standard error is never taken for smaller than that of as many independent clips: with few sources it may vanish by
chance. Simulated with within-source correlations of .02 to .3, accuracies of .60, .85 and .95 and about 13 clips a
source, the interval holds the truth 93% to 97% of the time with 10 to 40 sources, and more often with fewer. The
studentised bootstrap fell to 3% with 2 sources and to 68% with 4, where resamples without variance spoil its ratio.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

FEW_SOURCES = 10
"""Below so many sources an interval is rough: its width itself is a guess from few draws."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval."""

    estimate: float
    low: float
    high: float


def is_rough(source_ids: Iterable[Any]) -> bool:
    """Whether there are too few sources for more than a rough interval."""
    return len(set(source_ids)) < FEW_SOURCES


def source_bootstrap(
    values_by_clip: ArrayLike,
    source_ids: Sequence[Any] | NDArray[Any],
    *,
    resamples: int,
    confidence: float,
    seed: int,
    bounds: tuple[float, float] = (0.0, 1.0),
    other_error: float = 0.0,
) -> Interval:
    """The mean over clips, with an interval for the mean over clips of new sources of the same kind.

    One source says nothing about others: its interval is all of ``bounds``. Where every clip has the same extreme
    value the bootstrap is blind; then the interval is the exact binomial one (Clopper & Pearson 1934) with one trial a
    source, as if the clips of a source always agreed.

    Args:
        values_by_clip: A value a clip, such as 1.0 for correct and 0.0 for wrong.
        source_ids: The source of each clip.
        resamples: Bootstrap resamples.
        confidence: Such as 0.95.
        seed: Of the resampling.
        bounds: Smallest and largest possible value.
        other_error: Standard error of the mean from what is not in the sources, such as the seeds of few trainings.

    Raises:
        ValueError: There is no clip, lengths differ, or a value is out of bounds.
    """
    values_N = np.asarray(values_by_clip, np.float64)
    _, source_N = np.unique(np.asarray(source_ids), return_inverse=True)
    low, high = bounds
    if not len(values_N) or values_N.shape != source_N.shape:
        raise ValueError(f"{len(values_N)} values for {len(source_N)} clips")
    if not ((values_N >= low) & (values_N <= high)).all():
        raise ValueError(f"values must lie in {bounds}")
    scaled_N = (values_N - low) / (high - low)
    sum_S, num_clips_S = (np.bincount(source_N, weights_N).astype(np.float64) for weights_N in (scaled_N, None))
    mean = float(scaled_N.mean())
    error = max(
        _standard_error(sum_S, num_clips_S, resamples, seed),
        float(scaled_N.std()) / math.sqrt(len(scaled_N)),  # were all clips independent
    )
    error = math.hypot(error, other_error / (high - low))
    below, above = (low + (high - low) * end for end in logit_interval(mean, error, len(sum_S), confidence))
    estimate = float(values_N.mean())
    return Interval(estimate, min(below, estimate), max(above, estimate))  # rounding aside, they are in order


def paired_source_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    source_ids: Sequence[Any] | NDArray[Any],
    *,
    resamples: int,
    confidence: float,
    seed: int,
    other_error: float = 0.0,
) -> Interval:
    """The mean of ``a - b`` over the same clips; what makes a clip hard for both drops out.

    Args:
        a: A value in 0..1 a clip, such as 1.0 where the first model is right.
        b: The same for the second model.
        source_ids: The source of each clip.
        resamples: Bootstrap resamples.
        confidence: Such as 0.95.
        seed: Of the resampling.
        other_error: As of :func:`source_bootstrap`.

    Raises:
        ValueError: There is no clip, lengths differ, or a value is out of bounds.
    """
    difference_N = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return source_bootstrap(
        difference_N,
        source_ids,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        bounds=(-1.0, 1.0),
        other_error=other_error,
    )


def logit_interval(mean: float, error: float, num_sources: int, confidence: float) -> tuple[float, float]:
    """Ends of the interval of a mean in 0..1, from its standard error over sources, as said above."""
    tail = (1.0 - confidence) / 2
    if num_sources == 1:
        return 0.0, 1.0
    if mean == 1.0:
        return tail ** (1 / num_sources), 1.0
    if mean == 0.0:
        return 0.0, 1.0 - tail ** (1 / num_sources)
    reach = float(stdtrit(num_sources - 1, 1.0 - tail)) * error / (mean * (1.0 - mean))
    centre = math.log(mean / (1.0 - mean))
    return _logistic(centre - reach), _logistic(centre + reach)


def _standard_error(sum_S: _Floats, num_clips_S: _Floats, resamples: int, seed: int) -> float:
    num_sources = len(sum_S)
    if num_sources == 1:
        return 0.0
    draws_RS = np.random.default_rng(seed).multinomial(num_sources, [1 / num_sources] * num_sources, resamples)
    mean_R = (draws_RS @ sum_S) / (draws_RS @ num_clips_S)
    return float(mean_R.std(ddof=1)) * math.sqrt(num_sources / (num_sources - 1))


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else math.exp(value) / (1.0 + math.exp(value))
