"""Permutation of whole units: which side a source, or a source's day, is on.

Legend: N clips of a side, M clips kept of both sides, U units, B permutations, K statistics.

Clips of one source are not exchangeable with those of another, whole sources are: under the null hypothesis every way
of dealing them to the two sides, as many to each as there are, is as likely (Pitman 1937; for clusters Gail, Mark,
Carroll, Green & Pee 1996, Stat. Med. 15:1069-1092). The p-value counts the observed deal as one of the permutations, so
that it is valid for any number of them (Phipson & Smyth 2010, SAGMB 9:39).

A unit counts once whatever its size, since one long source would otherwise decide alone. And units must be alike in
size: where those of the window are small, their means scatter more, and the null hypothesis would be rejected for that.
So of every unit at most so many clips are kept, drawn at random, as the side with the smaller units has in its median
unit. docs/decisions/0008-drift-tests.md shows the false alarms without.

The same physical source may be on both sides: it is one unit on each, as a camera's days are different units. What its
units share then cancels in the truth and not in the permutations, which errs towards silence.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.errors import UserError
from tasks.statistics.outcome import Abstained

MIN_UNITS = 5
"""Below so many units a side a permutation test abstains."""

_ROUNDING = 1e-5
_CHUNK = 64

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Units:
    """The clips that a test looks at, by unit; the reference's units come first.

    Attributes:
        clip_M: Their indices among the clips of the reference followed by those of the window.
        unit_M: The unit of each.
        num_reference: Units of the reference.
        num_window: Units of the window.
    """

    clip_M: NDArray[np.int64]
    unit_M: NDArray[np.int64]
    num_reference: int
    num_window: int

    def __len__(self) -> int:
        return self.num_reference + self.num_window

    def averaging(self) -> sparse.csr_array:
        """The matrix that takes kept clips to the means of their units, shape (U, M)."""
        size_U = np.bincount(self.unit_M)
        weight_M = (1.0 / size_U[self.unit_M]).astype(np.float32)
        return sparse.csr_array((weight_M, (self.unit_M, np.arange(len(self.unit_M)))), (len(self), len(self.unit_M)))

    def pick(self, reference_N: NDArray[Any], window_N: NDArray[Any]) -> NDArray[Any]:
        """The kept clips' rows of both sides, as float32, in the order of ``unit_M``."""
        is_window_M = self.clip_M >= len(reference_N)
        of_window_M = self.clip_M[is_window_M] - len(reference_N)
        kept = np.empty((len(self.clip_M), *reference_N.shape[1:]), np.float32)
        kept[~is_window_M] = reference_N[self.clip_M[~is_window_M]]
        kept[is_window_M] = window_N[of_window_M]
        return kept


def gather_units(
    reference_units: Sequence[Any] | NDArray[Any],
    window_units: Sequence[Any] | NDArray[Any],
    *,
    level: float,
    num_tests: int = 1,
    min_units: int = MIN_UNITS,
    seed: int,
) -> Units | Abstained:
    """The units of both sides, each with as many clips as make them comparable.

    Args:
        reference_units: The unit of each clip, such as its source or its source and day.
        window_units: The same for the window.
        level: Of the test.
        num_tests: Tests that share the level.
        min_units: Units that each side needs.
        seed: Of the choice of clips.
    """
    sides = [np.unique(np.asarray(ids), return_inverse=True)[1] for ids in (reference_units, window_units)]
    sizes = [np.bincount(unit_N) for unit_N in sides]
    counts = [len(size_U) for size_U in sizes]
    for name, count in zip(("reference", "window"), counts, strict=True):
        if count < min_units:
            return Abstained(
                f"The {name} has {count} sources, too few to tell a change from a difference between sources; "
                f"collect clips of at least {min_units}."
            )
    if smallest_p_value(*counts) > level / num_tests:
        return Abstained(
            f"{counts[0]} sources against {counts[1]} can be dealt in too few ways to reach a level of {level:g} in "
            f"{num_tests} tests; collect clips of more sources."
        )
    cap = max(1, int(min(np.median(size_U) for size_U in sizes)))
    unit_N = np.concatenate((sides[0], sides[1] + counts[0]))
    kept = _at_most(unit_N, cap, np.random.default_rng(seed))
    return Units(kept, unit_N[kept], *counts)


def smallest_p_value(num_reference: int, num_window: int) -> float:
    """The smallest p-value that so many units a side allow; sides of equal size may be swapped unnoticed."""
    return (2 if num_reference == num_window else 1) / math.comb(num_reference + num_window, num_window)


def permutation_p_values(
    statistic: Callable[[_Floats], NDArray[np.floating]],
    units: Units,
    *,
    permutations: int,
    level: float,
    num_tests: int = 1,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The observed statistics and their p-values, large statistics being evidence.

    Args:
        statistic: Takes which units are in the window, shape (B, U) of 0.0 and 1.0, and gives shape (B, K).
        units: From :func:`gather_units`.
        permutations: Deals to draw; more are drawn where ``num_tests`` at ``level`` need them.
        level: Of the tests together.
        num_tests: Tests that share the level.
        seed: Of the permutations.

    Returns:
        Two arrays of shape (K,).

    Raises:
        UserError: There is no permutation to draw.
    """
    if permutations < 1:
        raise UserError(f"permutations: {permutations}: must be at least 1")
    permutations = max(permutations, math.ceil(2 * num_tests / level))
    observed_K = np.asarray(statistic(_observed(units))[0], np.float64)
    # What differs by rounding alone is a tie, and a tie speaks for the null hypothesis.
    reached_K = observed_K - _ROUNDING * np.abs(observed_K)
    at_least_K = np.zeros(len(observed_K))
    for in_window_BU in _deals(units, permutations, seed):
        at_least_K += (statistic(in_window_BU) >= reached_K).sum(0)
    return observed_K, (1 + at_least_K) / (1 + permutations)


def _at_most(unit_N: NDArray[np.int64], cap: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of at most ``cap`` random clips of every unit, by unit."""
    shuffled_N = rng.permutation(len(unit_N))
    by_unit_N = shuffled_N[np.argsort(unit_N[shuffled_N], kind="stable")]
    size_U = np.bincount(unit_N)
    place_N = np.arange(len(unit_N)) - np.repeat(np.cumsum(size_U) - size_U, size_U)
    kept: NDArray[np.int64] = by_unit_N[place_N < cap]
    return kept


def _observed(units: Units) -> _Floats:
    return (np.arange(len(units)) >= units.num_reference).astype(np.float32)[None]


def _deals(units: Units, permutations: int, seed: int) -> Iterator[_Floats]:
    rng = np.random.default_rng(seed)
    for first in range(0, permutations, _CHUNK):
        in_window_BU = np.repeat(_observed(units), min(_CHUNK, permutations - first), 0)
        yield rng.permuted(in_window_BU, axis=1, out=in_window_BU)
