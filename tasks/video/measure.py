"""Light, sharpness and motion of a clip, from the luma of its stored frames."""

import numpy as np
from numpy.typing import NDArray


class Light:
    """Means over the frames that were added."""

    def __init__(self) -> None:
        self._previous: NDArray[np.int16] | None = None
        self._brightness: list[float] = []
        self._contrast: list[float] = []
        self._sharpness: list[float] = []
        self._motion: list[float] = []

    def add(self, luma: NDArray[np.uint8]) -> None:
        """Measure one frame, and its difference from the one before."""
        signed = luma.astype(np.int16)
        self._brightness.append(float(luma.mean()))
        self._contrast.append(float(luma.std()))
        self._sharpness.append(_laplacian_variance(signed))
        if self._previous is not None:
            self._motion.append(float(np.abs(signed - self._previous).mean()))
        self._previous = signed

    @property
    def brightness(self) -> float:
        """Mean luma, 0 to 255."""
        return _mean(self._brightness)

    @property
    def contrast(self) -> float:
        """Standard deviation of luma."""
        return _mean(self._contrast)

    @property
    def sharpness(self) -> float:
        """Variance of luma's Laplacian (Pech-Pacheco et al. 2000): small where a picture is blurred."""
        return _mean(self._sharpness)

    @property
    def motion(self) -> float:
        """Mean absolute difference of luma between successive frames, 0 to 255."""
        return _mean(self._motion)


def _laplacian_variance(luma: NDArray[np.int16]) -> float:
    inner = luma[1:-1, 1:-1]
    neighbours = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((neighbours - 4 * inner).var())


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
