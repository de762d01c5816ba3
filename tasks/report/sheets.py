"""Contact sheets: a few frames of a clip as one small picture inside the page."""

import base64
import math
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from models.clips.sampling import ClipInput, frame_indices
from models.clips.shards import ClipStore

_GAP = 2
_QUALITY = 76
_WIDEST, _NARROWEST = 160, 40
_FRAMES_AT_WIDEST = 200


@dataclass(frozen=True)
class Picture:
    """A JPEG as a ``data:`` address, with its size in pixels."""

    uri: str
    width: int
    height: int


def frame_width(num_frames: int) -> int:
    """How wide a frame is on a page with ``num_frames``: many share the area of a few, so that the page stays small."""
    scale = math.sqrt(_FRAMES_AT_WIDEST / max(num_frames, 1))
    return min(_WIDEST, max(_NARROWEST, round(_WIDEST * scale)))


def contact_sheet(store: ClipStore, shard: str, row: int, *, columns: int, rows: int, width: int) -> Picture:
    """Frames of a clip, evenly spaced in time, to be read like text.

    Args:
        store: Of the clip.
        shard: Where the clip lies.
        row: Where the clip lies.
        columns: Frames side by side.
        rows: Lines of frames.
        width: Of one frame, in pixels.

    Raises:
        UserError: The shard is missing or damaged.
    """
    # Only the number of frames matters here.
    evenly = ClipInput(columns * rows, None, 1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    clip_THWC = store.decode(shard, row, frame_indices(store.times(shard, row), evenly))
    height = max(1, round(width * clip_THWC.shape[1] / clip_THWC.shape[2]))
    sheet_HWC = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 128, np.uint8)
    for index, frame_HWC in enumerate(clip_THWC):
        top, left = index // columns * (height + _GAP), index % columns * (width + _GAP)
        sheet_HWC[top : top + height, left : left + width] = _resized(frame_HWC, width, height)
    return picture_of(sheet_HWC)


def picture_of(sheet_HWC: NDArray[np.uint8]) -> Picture:
    """A picture as it is."""
    jpeg = simplejpeg.encode_jpeg(sheet_HWC, quality=_QUALITY, colorsubsampling="420")
    uri = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return Picture(uri, sheet_HWC.shape[1], sheet_HWC.shape[0])


def _resized(frame_HWC: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(frame_HWC).resize((width, height), Image.Resampling.LANCZOS))
