"""HDR video (PQ) as a usual screen would show it: one rule for every file, whatever its metadata promise.

SMPTE ST 2084 says which luminance each value means. Up to 1,000 cd/m2, where most of it is mastered, are brought
into the 203 cd/m2 of reference white by the EETF of ITU-R BT.2390-10, 5.4.1, on each of red, green and blue: up to 89
cd/m2 nothing changes, above that highlights roll off. In linear light the primaries of BT.2020 then become those of
BT.709, what lies outside is cut off, and the display of BT.1886 is inverted. Reference white: ITU-R BT.2408-7.

The dynamic metadata of a file are not asked: frames of one clip, and clips of one camera, keep one brightness.

Shapes: H height, W width.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PEAK_NITS, _WHITE_NITS = 1_000.0, 203.0
_DISPLAY_GAMMA = 2.4
_STEPS = 1 << 16
_GREY = 512 << 6
# Weights of red and blue in luma (ITU-R BT.2020 table 4; BT.601, which JPEG uses).
_RED_2020, _BLUE_2020 = 0.2627, 0.0593
_RED_601, _BLUE_601 = 0.299, 0.114
# From linear BT.2020 to linear BT.709 (ITU-R BT.2087-0, inverse of table in 4).
_TO_BT709 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

_Plane = NDArray[np.floating[Any]]


def tone_mapped(
    luma_HW: NDArray[np.uint16],
    blue_HW: NDArray[np.uint16],
    red_HW: NDArray[np.uint16],
    *,
    is_full_range: bool,
    is_wide: bool = True,
) -> list[NDArray[np.uint8]]:
    """A frame in PQ as JPEG wants it.

    Args:
        luma_HW: Y' of BT.2020, non-constant luminance, 16 bits; height and width are even.
        blue_HW: Cb, at the same size.
        red_HW: Cr, at the same size.
        is_full_range: Whether values use all of the 16 bits.
        is_wide: Whether primaries are those of BT.2020; else they are those of BT.709 already.

    Returns:
        Y', Cb and Cr of BT.601 in full range, chroma at half the size.
    """
    parts: list[_Plane] = [part.astype(np.float32) for part in (luma_HW, blue_HW, red_HW)]
    luma, blue, red = parts
    if is_full_range:
        luma, blue, red = luma / 65535, (blue - 32768) / 65535, (red - 32768) / 65535
    else:  # 64 to 940 and 64 to 960 of 10 bits
        luma, blue, red = (luma - (64 << 6)) / (876 << 6), (blue - _GREY) / (896 << 6), (red - _GREY) / (896 << 6)
    red, green, blue = (_mapped(part) for part in _colours(luma, blue, red))
    if is_wide:
        red, green, blue = (of_red * red + of_green * green + of_blue * blue for of_red, of_green, of_blue in _TO_BT709)
    return _jpeg_planes(_shown(red), _shown(green), _shown(blue))


def _colours(luma: _Plane, blue: _Plane, red: _Plane) -> tuple[_Plane, _Plane, _Plane]:
    red_part = luma + 2 * (1 - _RED_2020) * red
    blue_part = luma + 2 * (1 - _BLUE_2020) * blue
    green = (luma - _RED_2020 * red_part - _BLUE_2020 * blue_part) / (1 - _RED_2020 - _BLUE_2020)
    return red_part, green, blue_part


def _mapped(signal: _Plane) -> _Plane:
    """Linear light after tone mapping, 1 for reference white."""
    light: _Plane = _LIGHT[np.clip(signal * (_STEPS - 1) + 0.5, 0, _STEPS - 1).astype(np.uint16)]
    return light


def _shown(linear: _Plane) -> _Plane:
    # Steps of the square root are fine where the eye is: near black.
    value: _Plane = _VALUE[(np.sqrt(np.clip(linear, 0, 1)) * (_STEPS - 1) + 0.5).astype(np.uint16)]
    return value


def _jpeg_planes(red: _Plane, green: _Plane, blue: _Plane) -> list[NDArray[np.uint8]]:
    luma = _RED_601 * red + (1 - _RED_601 - _BLUE_601) * green + _BLUE_601 * blue
    chroma = [(blue - luma) / (2 * (1 - _BLUE_601)), (red - luma) / (2 * (1 - _RED_601))]
    return [_bytes(luma), *(_bytes(_halved(part) + 128 / 255) for part in chroma)]


def _halved(part: _Plane) -> _Plane:
    return (part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2]) / 4


def _bytes(part: _Plane) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(part * 255 + 0.5, 0, 255).astype(np.uint8)
    return rounded


def _nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    power = signal ** (1 / _M2)
    nits: NDArray[np.float64] = 10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return nits


def _signal(nits: float) -> float:
    power = (nits / 10_000) ** _M1
    return float(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _rolled_off(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    peak = _signal(_PEAK_NITS)
    most = _signal(_WHITE_NITS) / peak
    knee = 1.5 * most - 0.5
    given = np.minimum(signal / peak, 1)
    t = np.maximum(given - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return np.where(given < knee, given, spline) * peak


_LIGHT = (_nits(_rolled_off(np.linspace(0, 1, _STEPS))) / _WHITE_NITS).astype(np.float32)
_VALUE = (np.linspace(0, 1, _STEPS) ** (2 / _DISPLAY_GAMMA)).astype(np.float32)
