"""What becomes of PQ: patches of known luminance against the standards' formulas, computed here once more."""

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from numpy.typing import NDArray

from tasks.video.clips import WHOLE, DecodedClip, Job, Recipe
from tasks.video.decode import decode
from tests.support.videos import write_video

RECIPE = Recipe(short_side=48, max_fps=10.0, jpeg_quality=98, min_duration_s=0.5, max_duration_s=20.0)
BT2020_MATRIX = 9
# Below the knee at 89 cd/m2 luminance stays what it is: a screen of 203 cd/m2 with BT.1886's gamma shows it so.
UNTOUCHED = {nits: 255 * (nits / 203) ** (1 / 2.4) for nits in (0.0, 0.1, 1.0, 5.0, 26.0, 50.0, 80.0)}
# By BT.2390's EETF: reference white leaves room for what is brighter, and a mastering screen's peak is white.
ROLLED_OFF = {203.0: 230.0, 400.0: 250.0, 1000.0: 255.0, 4000.0: 255.0}


def pq(nits: float) -> float:
    """SMPTE ST 2084, the inverse EOTF."""
    power = (nits / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def patch(luma: float, blue: float = 0.0, red: float = 0.0, *, full: bool = False) -> NDArray[np.uint16]:
    """One colour, as 16 bits."""
    scale = (65535, 65535, 0, 32768) if full else (876 << 6, 896 << 6, 64 << 6, 512 << 6)
    value = [luma * scale[0] + scale[2], blue * scale[1] + scale[3], red * scale[1] + scale[3]]
    return np.broadcast_to(np.array(value).round().astype(np.uint16), (48, 64, 3))


def stored(path: Path, shown: NDArray[np.uint16], *, full: bool = False, primaries: int = 9) -> NDArray[np.uint8]:
    """Colour of the middle of the first stored frame, of a video that shows a patch."""
    write_video(
        path, [shown] * 8, codec="libx265", pixels="yuv444p16le", pix_fmt="yuv444p12le", options={"crf": "2"},
        color_trc=int(ColorTrc.SMPTE2084), color_primaries=primaries, colorspace=BT2020_MATRIX,
        color_range=int(ColorRange.JPEG if full else ColorRange.MPEG),
    )  # fmt: skip
    [clip] = decode(Job(str(path), (WHOLE,), RECIPE))
    assert isinstance(clip, DecodedClip), clip
    colour: NDArray[np.uint8] = simplejpeg.decode_jpeg(clip.frames[0])[24, 32]
    return colour


@pytest.mark.parametrize(("nits", "value"), {**UNTOUCHED, **ROLLED_OFF}.items())
def test_grey_of_known_luminance(nits: float, value: float, tmp_path: Path) -> None:
    assert stored(tmp_path / "a.mkv", patch(pq(nits))).tolist() == pytest.approx([value] * 3, abs=1.5)


def test_full_range_is_the_same(tmp_path: Path) -> None:
    colour = stored(tmp_path / "a.mkv", patch(pq(26.0), full=True), full=True)
    assert colour.tolist() == pytest.approx([UNTOUCHED[26.0]] * 3, abs=1.5)


def coded(red: float, green: float, blue: float) -> NDArray[np.uint16]:
    """A colour in cd/m2 of each primary, as Y'CbCr of BT.2020."""
    red, green, blue = pq(red), pq(green), pq(blue)
    luma = 0.2627 * red + 0.678 * green + 0.0593 * blue
    return patch(luma, (blue - luma) / 1.8814, (red - luma) / 1.4746)


def test_colours_become_those_of_bt709(tmp_path: Path) -> None:
    # The red of BT.709 at 50 cd/m2, in the primaries of BT.2020 (ITU-R BT.2087).
    red = coded(50 * 0.6274, 50 * 0.0691, 50 * 0.0164)
    assert stored(tmp_path / "a.mkv", red).tolist() == pytest.approx([UNTOUCHED[50.0], 0, 0], abs=8)
    plain = stored(tmp_path / "b.mkv", coded(50, 5, 1), primaries=int(ColorPrimaries.BT709))
    assert plain.tolist() == pytest.approx([UNTOUCHED[nits] for nits in (50.0, 5.0, 1.0)], abs=3)


def test_what_no_screen_of_bt709_can_show_is_cut_off(tmp_path: Path) -> None:
    assert stored(tmp_path / "a.mkv", coded(0.0, 80.0, 0.0)).tolist() == pytest.approx([0, 176, 0], abs=8)
