"""HDR video (PQ) as a usual screen would show it: one rule for every file, whatever its metadata promise.

SMPTE ST 2084 says which luminance each value means. Up to 1,000 cd/m2, where most of it is mastered, are brought
into the 203 cd/m2 of reference white by the EETF of ITU-R BT.2390-10, 5.4.1, on each of red, green and blue: up to 89
cd/m2 nothing changes, above that highlights roll off. In linear light the primaries of BT.2020 then become those of
BT.709, what lies outside is cut off, and the display of BT.1886 is inverted. Reference white: ITU-R BT.2408-7.

The dynamic metadata of a file are not asked: frames of one clip, and clips of one camera, keep one brightness.

Shapes: H height, W width.
"""

import numpy as np
from numpy.typing import NDArray

_PEAK_NITS, _WHITE_NITS = 1_000.0, 203.0
_DISPLAY_GAMMA = 2.4
_STEPS = 1 << 16
# Weights of red and blue in luma (ITU-R BT.2020 table 4; BT.601, which JPEG uses).
_RED_2020, _BLUE_2020 = 0.2627, 0.0593
_RED_601, _BLUE_601 = 0.299, 0.114
# From linear BT.2020 to linear BT.709 (ITU-R BT.2087-0, inverse of table in 4).
_PRIMARIES = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


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
    if is_full_range:
        luma, blue, red = luma_HW / _F(65535), (blue_HW - _F(32768)) / _F(65535), (red_HW - _F(32768)) / _F(65535)
    else:  # 64 to 940 and 64 to 960 of 10 bits
        luma = (luma_HW - _F(64 << 6)) / _F(876 << 6)
        blue, red = (blue_HW - _F(512 << 6)) / _F(896 << 6), (red_HW - _F(512 << 6)) / _F(896 << 6)
    linear_3HW = [_mapped(part) for part in _colours(luma, blue, red)]
    if is_wide:
        linear_3HW = [
            sum(_F(weight) * part for weight, part in zip(row, linear_3HW, strict=True)) for row in _PRIMARIES
        ]
    return _jpeg_planes(*(_shown(part) for part in linear_3HW))


_F = np.float32
_Plane = NDArray[np.float32]


def _colours(luma: _Plane, blue: _Plane, red: _Plane) -> tuple[_Plane, _Plane, _Plane]:
    red_part = luma + _F(2 * (1 - _RED_2020)) * red
    blue_part = luma + _F(2 * (1 - _BLUE_2020)) * blue
    green = (luma - _F(_RED_2020) * red_part - _F(_BLUE_2020) * blue_part) / _F(1 - _RED_2020 - _BLUE_2020)
    return red_part, green, blue_part


def _mapped(signal: _Plane) -> _Plane:
    """Linear light after tone mapping, 1 for reference white."""
    return _LIGHT[np.clip(signal * _F(_STEPS - 1) + _F(0.5), 0, _STEPS - 1).astype(np.uint16)]


def _shown(linear: _Plane) -> _Plane:
    # Steps of the square root are fine where the eye is: near black.
    return _VALUE[(np.sqrt(np.clip(linear, 0, 1)) * _F(_STEPS - 1) + _F(0.5)).astype(np.uint16)]


def _jpeg_planes(red: _Plane, green: _Plane, blue: _Plane) -> list[NDArray[np.uint8]]:
    luma = _F(_RED_601) * red + _F(1 - _RED_601 - _BLUE_601) * green + _F(_BLUE_601) * blue
    chroma = [(blue - luma) / _F(2 * (1 - _BLUE_601)), (red - luma) / _F(2 * (1 - _RED_601))]
    return [_bytes(luma), *(_bytes(_halved(part) + _F(128 / 255)) for part in chroma)]


def _halved(part: _Plane) -> _Plane:
    return (part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2]) / _F(4)


def _bytes(part: _Plane) -> NDArray[np.uint8]:
    return np.clip(part * _F(255) + _F(0.5), 0, 255).astype(np.uint8)


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
