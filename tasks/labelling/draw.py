"""Which clips are drawn at random, so that their labels can measure and judge.

Legend: N clips to draw from, B drawn.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray


def draw(
    source_N: Sequence[str], number: int, *, seed: int, tested_on: Collection[str] = (), least: int = 0
) -> NDArray[np.int64]:
    """Draw at most ``number`` clips at random, ``least`` of them or more from sources that are ``tested_on``.

    Among clips of sources that are tested on, and among the others, each is as likely as any other. Where there are
    fewer clips to test on, the others make up for them.

    Args:
        source_N: Where clips come from. The same rows in the same order give the same draw.
        number: Clips to draw.
        seed: Of the draw.
        tested_on: Sources whose clips judge a model.
        least: Of them.

    Returns:
        Their places, shape (B,), in random order.
    """
    rng = np.random.default_rng([seed, 1])
    order_N = rng.permutation(len(source_N))
    is_tested_N = np.isin(np.asarray(source_N, str), list(tested_on)) if tested_on else np.zeros(len(source_N), bool)
    drawn, left = order_N[:number], order_N[number:]
    missing = min(least, len(drawn)) - int(is_tested_N[drawn].sum())
    more = left[is_tested_N[left]][: max(missing, 0)]
    if not len(more):
        return drawn
    tested, others = drawn[is_tested_N[drawn]], drawn[~is_tested_N[drawn]]
    # Whoever labels a part from the top labels of both kinds.
    return rng.permutation(np.concatenate([tested, more, others[: len(others) - len(more)]]))
