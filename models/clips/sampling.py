"""Which frames of a clip a model sees, chosen by presentation time.

A camera may drop frames and a file may have a variable rate, so a window is a stretch of seconds and not of frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClipInput:
    """What a model takes: fixed by its flavour.

    Attributes:
        num_frames: Frames per clip.
        span_s: Seconds from the first to the last sampled frame; None spreads them over the whole clip.
        size: Side of the square crop, in pixels.
        mean: Mean of red, green and blue that is taken off, with values in 0..1.
        std: Standard deviation of red, green and blue that is divided by.
    """

    num_frames: int
    span_s: float | None
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def frame_indices(
    times_s: NDArray[np.float64],
    clip_input: ClipInput,
    jitter: float = 0.0,
    rng: np.random.Generator | None = None,
) -> NDArray[np.int64]:
    """Choose ``clip_input.num_frames`` frames, evenly spaced in time.

    The window is centred. With ``jitter`` its length changes by up to that share, and it starts anywhere up to that
    share of the clip's slack (and of its own length, when it fills the clip) away from the centre. A clip that is
    shorter than the window repeats its last frame.

    Args:
        times_s: Presentation times of the clip's frames, ascending, from the clip's start.
        clip_input: Frames and span.
        jitter: Strength of the random shift and change of speed, 0..1.
        rng: Source of randomness; needed when ``jitter`` is not 0.

    Returns:
        Indices into ``times_s``, not descending, shape ``(num_frames,)``.
    """
    first, last = float(times_s[0]), float(times_s[-1])
    span = last - first if clip_input.span_s is None else clip_input.span_s
    start = max(first, (first + last - span) / 2)
    if jitter and rng is not None:
        speed, shift = rng.uniform(-jitter, jitter, size=2)
        span *= 1.0 + speed
        slack = max(last - first - span, 0.0)
        start = first + slack * (0.5 + 0.5 * shift / jitter) if slack else first + max(span * shift, 0.0) / 2
    wanted = np.linspace(start, start + span, clip_input.num_frames)
    return _nearest(times_s, wanted)


def _nearest(times_s: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    right = np.clip(np.searchsorted(times_s, wanted), 1, max(len(times_s) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(times_s) - 1)
    nearer_left = wanted - times_s[left] <= times_s[right] - wanted
    return np.where(nearer_left, left, right).astype(np.int64)
