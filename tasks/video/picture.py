"""One decoded frame: turned upright, shrunk to stored size, as JPEG and as luma for measuring."""

from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import simplejpeg
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from tasks.video.clips import Reason, Recipe, Refused
from tasks.video.tone import tone_mapped

_SCALER = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
# From H.273's matrix coefficients to the scaler's; what is unspecified goes by size, as players do.
_MATRICES = {1: Colorspace.ITU709, 7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}
_UNSPECIFIED = 2
_HD_HEIGHT = 720
_MIN_SIDE = 16
_EPSILON = 1e-6

_reformatter = VideoReformatter()
_Pixel = TypeVar("_Pixel", np.uint8, np.uint16)


class Picture:
    """A frame and when it is shown. Nothing is computed before it is asked for, and nothing twice.

    Attributes:
        time_s: Presentation time from the file's start.
        duration_s: How long it is shown, as far as the file says; else 0.
        damaged: The decoder had to invent parts of it.
    """

    def __init__(self, frame: Any, time_s: float, stream: Any, recipe: Recipe, *, damaged: bool) -> None:
        self._frame = frame
        self._stream = stream
        self._recipe = recipe
        self.time_s = time_s
        self.duration_s = (frame.duration or 0) * stream.time_base.numerator / stream.time_base.denominator
        self.damaged = damaged

    @property
    def codec(self) -> str:
        """Canonical name of the codec."""
        return str(self._stream.codec_context.codec.canonical_name)

    @cached_property
    def rotation(self) -> int:
        """Degrees clockwise that the file asks players to turn it."""
        if self._frame.rotation % 90:
            message = f"is turned by {self._frame.rotation} degrees; only quarter turns are taken"
            raise Refused(message, Reason.PICTURE)
        return -int(self._frame.rotation) % 360

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height as displayed: square pixels, upright."""
        width, height = self._shown_pixels
        return (height, width) if self.rotation % 180 else (width, height)

    @cached_property
    def jpeg(self) -> bytes:
        """The frame at stored size."""
        return bytes(simplejpeg.encode_jpeg_yuv_planes(*self._yuv, quality=self._recipe.jpeg_quality))

    @property
    def luma(self) -> NDArray[np.uint8]:
        """Luma at stored size, 0 to 255."""
        return self._yuv[0]

    @cached_property
    def _yuv(self) -> list[NDArray[np.uint8]]:
        planes = self._tone_mapped() if self._frame.color_trc == ColorTrc.SMPTE2084 else self._shrunk_planes()
        return [np.ascontiguousarray(np.rot90(plane, -self.rotation // 90)) for plane in planes]

    def _shrunk_planes(self) -> list[NDArray[np.uint8]]:
        shrunk = self._shrunk("yuvj420p", self._matrix, Colorspace.ITU601, ColorRange.JPEG)
        return [_pixels(plane, np.uint8) for plane in shrunk.planes]

    def _tone_mapped(self) -> list[NDArray[np.uint8]]:
        # Where a file names no matrix, PQ is that of BT.2020: no other is in use with it.
        unspecified = self._frame.colorspace == _UNSPECIFIED
        matrix = Colorspace.BT2020 if unspecified else self._matrix
        shrunk = self._shrunk("yuv444p16le", matrix, Colorspace.BT2020, self._range)
        return tone_mapped(
            *(_pixels(plane, np.uint16) for plane in shrunk.planes),
            is_full_range=self._is_full_range,
            is_wide=self._frame.color_primaries != ColorPrimaries.BT709,
        )

    def _shrunk(self, pixels: str, matrix: Colorspace, stored_matrix: Colorspace, stored_range: ColorRange) -> Any:
        width, height = self._shown_pixels
        if min(width, height) < _MIN_SIDE:
            raise Refused(f"has {width} x {height} pixels, too few to show anything", Reason.PICTURE)
        scale = min(1.0, self._recipe.short_side / min(width, height))
        return _reformatter.reformat(
            self._frame,
            width=_even(width * scale),
            height=_even(height * scale),
            format=pixels,
            interpolation=_SCALER,
            src_colorspace=matrix,
            dst_colorspace=stored_matrix,
            src_color_range=self._range,
            dst_color_range=stored_range,
            threads=1,
        )

    @property
    def _shown_pixels(self) -> tuple[int, int]:
        aspect = self._stream.codec_context.sample_aspect_ratio or 1
        return max(1, round(self._frame.width * aspect)), int(self._frame.height)

    @property
    def _matrix(self) -> Colorspace:
        unspecified = self._frame.colorspace == _UNSPECIFIED
        guessed = Colorspace.ITU709 if unspecified and self._frame.height >= _HD_HEIGHT else Colorspace.ITU601
        return _MATRICES.get(self._frame.colorspace, guessed)

    @property
    def _range(self) -> ColorRange:
        return ColorRange.JPEG if self._is_full_range else ColorRange.MPEG

    @property
    def _is_full_range(self) -> bool:
        return bool(self._frame.color_range == ColorRange.JPEG) or str(self._frame.format.name).startswith("yuvj")


def _even(side: float) -> int:
    # With 4:2:0 chroma the JPEG encoder reads beyond planes of odd size: bytes that differ from run to run.
    return int(side / 2 + _EPSILON) * 2


def _pixels(plane: Any, kind: type[_Pixel]) -> NDArray[_Pixel]:
    lines = np.frombuffer(plane, kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
    return lines[: plane.height, : plane.width]
