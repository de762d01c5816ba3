"""Light, sharpness and motion of a clip, from the luma of its stored frames."""

import numpy as np
from numpy.typing import NDArray


class Light:
    """Means over the frames that were added, which have one size.

    Numbers are part of what is stored, so each is rounded as ``numpy.mean``, ``std`` and ``var`` do; whole ones may
    be summed in any way. Room for what comes between is kept, because to map it anew costs more than all else.
    """

    def __init__(self) -> None:
        self._room: _Room | None = None
        self._previous: NDArray[np.uint8] | None = None
        self._brightness: list[float] = []
        self._contrast: list[float] = []
        self._sharpness: list[float] = []
        self._motion: list[float] = []

    def add(self, luma: NDArray[np.uint8]) -> None:
        """Measure one frame, and its difference from the one before."""
        room = self._room = self._room or _Room(*luma.shape)
        np.copyto(room.luma, luma)
        mean, variance = _mean_and_variance(room.luma, _sum(luma))
        self._brightness.append(mean)
        self._contrast.append(float(np.sqrt(variance)))
        self._sharpness.append(_laplacian_variance(luma, room))
        if self._previous is not None:
            self._motion.append(_mean_difference(luma, self._previous, room))
        self._previous = luma

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


class _Room:
    def __init__(self, height: int, width: int) -> None:
        self.luma = np.empty((height, width))
        self.inner = np.empty((height - 2, width - 2))
        self.least, self.most = np.empty((2, height, width), np.uint8)
        self.signed = np.empty((height, width), np.int16)
        # Of rows as one line, in which the pixel above is a row's length before.
        self.cross, self.centre = np.zeros((2, height * width), np.int16)


def _laplacian_variance(luma: NDArray[np.uint8], room: _Room) -> float:
    width = luma.shape[1]
    np.copyto(room.signed, luma)
    line = room.signed.ravel()
    cross, centre = room.cross[width:-width], room.centre[width:-width]
    np.add(line[: -2 * width], line[2 * width :], out=cross)
    cross += line[width - 1 : -width - 1]
    cross += line[width + 1 : len(line) - width + 1]
    np.multiply(line[width:-width], 4, out=centre)
    cross -= centre
    np.copyto(room.inner, room.cross.reshape(luma.shape)[1:-1, 1:-1])
    return _mean_and_variance(room.inner, room.inner.sum())[1]


def _mean_difference(luma: NDArray[np.uint8], previous: NDArray[np.uint8], room: _Room) -> float:
    np.maximum(luma, previous, out=room.most)
    np.minimum(luma, previous, out=room.least)
    room.most -= room.least
    return float(_sum(room.most) / luma.size)


def _mean_and_variance(values: NDArray[np.float64], total: float) -> tuple[float, float]:
    """Of values of which ``total`` is the sum; they are overwritten."""
    mean = total / values.size
    values -= mean
    values *= values
    return float(mean), float(values.sum() / values.size)


def _sum(luma: NDArray[np.uint8]) -> float:
    # 32 bits hold a picture of 16 million white pixels.
    return float(luma.sum(dtype=np.uint32 if luma.size < 1 << 24 else np.uint64))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
