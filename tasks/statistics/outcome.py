"""What a statistic answers when it cannot say, and what it refuses to look at.

Legend: N clips, D features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import UserError


@dataclass(frozen=True)
class Abstained:
    """A statistic that cannot say.

    Attributes:
        reason: A sentence that names what is missing and the remedy.
    """

    reason: str


def finite(values: ArrayLike, name: str) -> NDArray[np.floating]:
    """The values, as floats of the precision that they have.

    Args:
        values: A row a clip.
        name: What they are, for the message.

    Raises:
        UserError: A clip has a value that is not a number or not finite.
    """
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    bad_N = ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if bad_N.any():
        raise UserError(
            f"{name}: {bad_N.sum()} of {len(array)} clips have values that are not finite; make them anew or leave "
            "those clips out"
        )
    return array


def two_sides(
    reference_ND: ArrayLike, window_ND: ArrayLike, name: str
) -> tuple[NDArray[np.floating], NDArray[np.floating]] | Abstained:
    """Both sides as finite arrays of equal width, or why there is nothing to compare.

    Raises:
        UserError: A value is not finite, or the widths differ.
    """
    sides = finite(reference_ND, f"{name} of the reference"), finite(window_ND, f"{name} of the window")
    for side, remedy in zip(
        sides, ("make the reference anew with the model", "wait for video or check its source"), strict=True
    ):
        if not len(side):
            return Abstained(f"{name}: {'the window' if side is sides[1] else 'the reference'} has no clips; {remedy}.")
    if sides[0].shape[1:] != sides[1].shape[1:]:
        raise UserError(
            f"{name}: the reference has shape {sides[0].shape[1:]} a clip and the window {sides[1].shape[1:]}; another "
            "model made it: make the reference anew"
        )
    return sides
