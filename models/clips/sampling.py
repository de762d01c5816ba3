"""Which frames of a clip a model sees, chosen by presentation time.

A camera may drop frames and a file may have a variable rate, so a window is a stretch of seconds and not of frames.
"""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class View:
    """Which stretch and which square of a clip a model sees, where a clip has more than it takes.

    Attributes:
        along: From the start (0) to the end (1) of the clip. A model that takes frames from the whole clip gets those
            between its own, up to half a gap earlier (0) or later (1).
        across: From the left or top (0) to the right or bottom (1) of the frame.
    """

    along: float = 0.5
    across: float = 0.5


CENTRE = View()


def spread_views(temporal: int, spatial: int) -> list[View]:
    """Views of a clip for testing, evenly spread over it from edge to edge; a single one is in the middle.

    The usual ``temporal x spatial`` views of video recognition (Feichtenhofer et al. 2019, arXiv:1812.03982, 10 x 3).
    """
    along, across = ([0.5] if number == 1 else np.linspace(0.0, 1.0, number).tolist() for number in (temporal, spatial))
    return [View(a, b) for a in along for b in across]


def frame_indices(
    times_s: NDArray[np.float64],
    clip_input: ClipInput,
    jitter: float = 0.0,
    rng: np.random.Generator | None = None,
    along: float = 0.5,
) -> NDArray[np.int64]:
    """Choose ``clip_input.num_frames`` frames, evenly spaced in time.

    The window lies where ``along`` says, or starts with a clip that is shorter, and then repeats the last frame.
    With ``jitter`` its length changes by up to that share, and its start moves by up to that share of the clip's slack.

    Args:
        times_s: Presentation times of the clip's frames, ascending.
        clip_input: Frames and span.
        jitter: Strength of the random shift and change of speed, 0..1.
        rng: Source of randomness; without it there is no jitter.
        along: See :class:`View`.

    Returns:
        Indices into ``times_s``, not descending, shape ``(num_frames,)``.
    """
    first, last = float(times_s[0]), float(times_s[-1])
    span = last - first if clip_input.span_s is None else clip_input.span_s
    shift = 0.0
    if rng is not None:
        speed, shift = rng.uniform(-jitter, jitter, size=2)
        span *= 1.0 + speed
    slack = max(last - first - span, 0.0)
    start = first + slack * min(max(along + shift, 0.0), 1.0)
    if clip_input.span_s is None:
        start += (along - 0.5) * span / max(clip_input.num_frames - 1, 1)
    return _nearest(times_s, np.linspace(start, start + span, clip_input.num_frames))


def windowed_order(shard_N: Sequence[str], window: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order in which clips of no more than ``window`` shards are between each other.

    Shards are shuffled and taken ``window`` at a time; clips of these are shuffled together. So data that are streamed
    through a cache smaller than they are is fetched once an epoch.

    Args:
        shard_N: The shard of each clip.
        window: At least 1.
        rng: Source of randomness.

    Returns:
        Indices into ``shard_N``, each once.
    """
    names, of_shard_N = np.unique(np.asarray(shard_N), return_inverse=True)
    turn_N = rng.permutation(len(names))[of_shard_N] // window
    return np.lexsort((rng.permutation(len(of_shard_N)), turn_N))


def _nearest(times_s: NDArray[np.float64], wanted_s: NDArray[np.float64]) -> NDArray[np.int64]:
    halfway_s = (times_s[1:] + times_s[:-1]) / 2
    return np.searchsorted(halfway_s, wanted_s).astype(np.int64)
