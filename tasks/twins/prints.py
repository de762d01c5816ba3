"""A clip as words of 64 bits that survive re-encoding, resizing, brightening and a trimmed second.

All clips of a fixed camera share their background, so hashes of frames make copies of them all. Here the hashed picture
is the change from a quarter of a second to the next, in which what stands still is not. As in perceptual hashes of
pictures (Zauner 2010, "Implementation and benchmarking of perceptual image hash functions") a bit is the sign of one of
the 64 lowest mixed frequencies of a cosine transform. As in vPDQ (Facebook 2019, "The TMK+PDQF video-hashing algorithm
and the PDQ image-hashing algorithm") every moment has a word of its own, and moments that show nothing have none. The
windows weigh frames by the time they are on screen, so that another frame rate changes little.

Arrays are named by shape: T frames, W words, K and L frequencies, H and V pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import simplejpeg
from numpy.typing import NDArray

STEP_S = 0.125
"""Seconds from one word to the next."""

_WINDOW_S = 0.25
_FREQUENCIES = 8
_LEAST_SIDE_PX = 32
# Amplitude of change, in levels of luma, below which a word would be of the codec's noise.
_LEAST_CHANGE = 0.125


@dataclass(frozen=True)
class Print:
    """The words of one clip, one every ``STEP_S`` from its start; a clip of less than half a second has none.

    Attributes:
        motion_W: What changes, as uint64.
        still_W: What is there, as uint64.
        moves_W: Whether so much changes that ``motion_W`` means something.
    """

    motion_W: NDArray[np.uint64]
    still_W: NDArray[np.uint64]
    moves_W: NDArray[np.bool_]


EMPTY = Print(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.bool_))


def print_of(frames: Sequence[memoryview | bytes], times_s: NDArray[np.float64]) -> Print:
    """The print of a stored clip.

    Args:
        frames: JPEG, one a frame.
        times_s: Presentation time of each frame, ascending.

    Raises:
        ValueError: A frame is not JPEG.
    """
    starts_W = np.arange(0.0, times_s[-1] - times_s[0] - 2 * _WINDOW_S + 1e-6, STEP_S) + times_s[0]
    if not len(starts_W):
        return EMPTY
    spectrum_TKL = np.stack([_spectrum(frame) for frame in frames])
    # A frame stands for the time that is nearer to it than to any other.
    edges_s = np.concatenate([times_s[:1], (times_s[1:] + times_s[:-1]) / 2, times_s[-1:]])
    until_TKL = np.concatenate(
        [np.zeros_like(spectrum_TKL[:1]), (spectrum_TKL * np.diff(edges_s)[:, None, None]).cumsum(0)]
    )
    begin_WKL, middle_WKL, end_WKL = (
        _between(until_TKL, edges_s, starts_W + shift_s) for shift_s in (0.0, _WINDOW_S, 2 * _WINDOW_S)
    )
    change_WKL = (end_WKL - 2 * middle_WKL + begin_WKL) / _WINDOW_S
    size_W = np.sqrt((change_WKL**2).mean((1, 2)))
    return Print(_signs(change_WKL), _signs(end_WKL - begin_WKL), size_W >= _LEAST_CHANGE)


def _spectrum(frame: memoryview | bytes) -> NDArray[np.float64]:
    """Amplitudes of the lowest mixed frequencies of luma, whatever the frame's size."""
    luma_VH = simplejpeg.decode_jpeg(frame, "GRAY", min_height=_LEAST_SIDE_PX, min_width=_LEAST_SIDE_PX)[:, :, 0]
    rows_KV, columns_LH = (_cosines(side) for side in luma_VH.shape)
    amplitude_KL: NDArray[np.float64] = rows_KV @ luma_VH.astype(np.float64) @ columns_LH.T
    return amplitude_KL


@lru_cache(maxsize=32)
def _cosines(side: int) -> NDArray[np.float64]:
    centres = (np.arange(side) + 0.5) / side
    cosines: NDArray[np.float64] = np.cos(np.pi * np.arange(1, _FREQUENCIES + 1)[:, None] * centres) * 2 / side
    return cosines


def _between(
    until_TKL: NDArray[np.float64], edges_s: NDArray[np.float64], at_W: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What was summed up at moments between edges."""
    left_W = np.clip(np.searchsorted(edges_s, at_W, "right") - 1, 0, len(edges_s) - 2)
    share_W = (at_W - edges_s[left_W]) / (edges_s[left_W + 1] - edges_s[left_W])
    before_WKL, after_WKL = until_TKL[left_W], until_TKL[left_W + 1]
    summed_WKL: NDArray[np.float64] = before_WKL + share_W[:, None, None] * (after_WKL - before_WKL)
    return summed_WKL


def _signs(spectrum_WKL: NDArray[np.float64]) -> NDArray[np.uint64]:
    bits = np.packbits(spectrum_WKL.reshape(len(spectrum_WKL), -1) > 0, axis=1)
    return bits.view(">u8")[:, 0].astype(np.uint64)
