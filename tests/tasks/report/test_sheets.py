import base64
import math
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from models.clips.shards import ClipStore, StoredClip, write_shard
from tasks.report.sheets import contact_sheet, frame_width

LEVELS = [0, 40, 80, 120, 160, 200, 240]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """A clip whose frames grow brighter."""
    folder = tmp_path_factory.mktemp("shards")
    frames = [simplejpeg.encode_jpeg(np.full((30, 40, 3), level, np.uint8)) for level in LEVELS]
    clip = StoredClip("clip", 40, 30, [0.1 * number for number in range(len(LEVELS))], frames)
    (shard, row), *_ = write_shard(folder, [clip])
    return folder, shard, row


def pixels(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return simplejpeg.decode_jpeg(base64.b64decode(content))


def test_frames_follow_each_other_like_text(place: tuple[Path, str, int]):
    folder, shard, row = place
    sheet = contact_sheet(ClipStore(folder), shard, row, columns=2, rows=2, width=20)
    picture = pixels(sheet.uri)
    assert picture.shape[:2] == (sheet.height, sheet.width) == (2 * 15 + 2, 2 * 20 + 2)
    brightness = [picture[y, x].mean() for y in (7, 24) for x in (10, 32)]
    assert brightness == pytest.approx([0, 80, 160, 240], abs=12)


def test_the_same_bytes_every_time(place: tuple[Path, str, int]):
    folder, shard, row = place
    sheets = [contact_sheet(ClipStore(folder), shard, row, columns=3, rows=2, width=16) for _ in range(2)]
    assert sheets[0] == sheets[1]


def test_a_clip_of_one_frame_repeats_it(tmp_path: Path):
    frame = simplejpeg.encode_jpeg(np.full((30, 40, 3), 90, np.uint8))
    (shard, row), *_ = write_shard(tmp_path, [StoredClip("clip", 40, 30, [0.0], [frame])])
    sheet = contact_sheet(ClipStore(tmp_path), shard, row, columns=3, rows=1, width=16)
    assert pixels(sheet.uri)[:, [8, 26, 44]] == pytest.approx(90, abs=6)


def test_many_frames_share_the_area_of_a_few():
    assert frame_width(1) == frame_width(200) == 160
    assert frame_width(0) == 160
    assert math.isclose(800 * frame_width(800) ** 2, 200 * 160**2, rel_tol=0.05)
    assert frame_width(1_000_000) == 40
