"""A stored clip as a small video file that browsers and Label Studio play."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from models.clips.shards import ClipStore

_TICKS = 1000
# Bit-exact: no versions, no dates. No macroblock tree: its assembly reads uninitialised memory beside pictures that are
# not a multiple of 128 pixels wide.
_CONTAINER = {"fflags": "+bitexact", "movflags": "+faststart"}
_CODEC = {"preset": "veryfast", "crf": "23", "flags": "+bitexact", "mbtree": "0"}


def write_film(store: ClipStore, shard: str, row: int, path: Path) -> None:
    """Write the clip's stored frames as H.264 in MP4, each at its own time; the same clip gives the same bytes.

    Raises:
        UserError: The shard is missing or damaged.
    """
    times_s = store.times(shard, row)
    encode_film(store.decode(shard, row, range(len(times_s))), times_s, path)


def encode_film(clip_THWC: NDArray[np.uint8], times_s: NDArray[np.float64], path: Path) -> None:
    """Write frames as H.264 in MP4, each at its own time; the same frames give the same bytes."""
    height, width = (side // 2 * 2 for side in clip_THWC.shape[1:3])  # the codec halves its chroma
    with av.open(str(path), "w", format="mp4", options=_CONTAINER) as container:
        stream: Any = container.add_stream("libx264", options=_CODEC)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.thread_count = 1  # with several, how x264 divides the picture depends on the machine
        for frame_HWC, tick in zip(clip_THWC, _ticks(times_s), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC[:height, :width]), format="rgb24")
            frame.time_base, frame.pts = stream.codec_context.time_base, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _ticks(times_s: NDArray[np.float64]) -> list[int]:
    ticks = np.rint((times_s - times_s[0]) * _TICKS).astype(np.int64)
    step = np.arange(len(ticks))  # frames closer than a tick still follow each other
    ascending: list[int] = (np.maximum.accumulate(ticks - step) + step).tolist()
    return ascending
