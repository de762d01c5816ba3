"""The arrays that everything here is made of: 32-bit numbers, since twice as many fit the cache."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]
Frames = NDArray[np.uint8]


def array(values: ArrayLike) -> Array:
    """``values`` as 32-bit numbers."""
    return np.asarray(values, np.float32)
