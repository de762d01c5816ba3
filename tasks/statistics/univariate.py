"""Have the videos themselves changed? Brightness, contrast, sharpness, motion, frame rate, size.

Legend: N clips of a side.

A Kolmogorov-Smirnov test a fact, by permutations of whole units (see permutation.py), with Holm's method over facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import UserError
from tasks.statistics.kolmogorov_smirnov import ColumnTests, compare_columns
from tasks.statistics.outcome import Abstained, two_sides
from tasks.statistics.permutation import MIN_UNITS

FACTS = ("brightness", "contrast", "sharpness", "motion", "fps", "short_side")
"""What is known of every clip before any model looks at it."""


@dataclass(frozen=True)
class FactTests:
    """What one test a fact says.

    Attributes:
        facts: Their names, in the order of ``tests``.
        tests: The tests.
    """

    facts: tuple[str, ...]
    tests: ColumnTests

    @property
    def p_value(self) -> float:
        """Of the hypothesis that no fact has changed."""
        return self.tests.p_value


def compare_facts(
    reference: Mapping[str, ArrayLike],
    reference_units: Sequence[Any] | NDArray[Any],
    window: Mapping[str, ArrayLike],
    window_units: Sequence[Any] | NDArray[Any],
    *,
    permutations: int = 500,
    level: float = 0.05,
    min_units: int = MIN_UNITS,
    seed: int = 0,
) -> FactTests | Abstained:
    """Test whether the facts of both sides are of one distribution each.

    Args:
        reference: Values by fact, shape (N,) each; see :data:`FACTS`, though any names will do.
        reference_units: The unit of each clip: its source, or its source and day.
        window: The same facts of the window.
        window_units: Its units.
        permutations: Permutations of units; more are drawn where many facts need them.
        level: At which the p-value will be read; where units are too few to reach it, the test abstains.
        min_units: Units that each side needs.
        seed: Of permutations and of the choice of clips.

    Raises:
        UserError: A value is not finite, or the two sides' facts differ.
    """
    if set(reference) != set(window) or not reference:
        unshared = sorted(set(reference) ^ set(window))
        raise UserError(f"facts: reference and window do not share {unshared or 'any'}; ingest both anew")
    facts = tuple(reference)
    for fact in facts:
        sides = two_sides(reference[fact], window[fact], fact)
        if isinstance(sides, Abstained):
            return sides
    tests = compare_columns(
        np.stack([np.asarray(reference[fact], np.float64) for fact in facts], axis=1),
        reference_units,
        np.stack([np.asarray(window[fact], np.float64) for fact in facts], axis=1),
        window_units,
        permutations=permutations,
        level=level,
        min_units=min_units,
        seed=seed,
    )
    return tests if isinstance(tests, Abstained) else FactTests(facts, tests)
