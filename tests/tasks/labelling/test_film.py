from pathlib import Path

import av
import numpy as np
import simplejpeg

from models.clips.shards import ClipStore, StoredClip, write_shard
from tasks.labelling.film import write_film


def stored(folder: Path, times_s: list[float], width: int = 41, height: int = 31) -> tuple[ClipStore, str, int]:
    frames = [
        simplejpeg.encode_jpeg(np.full((height, width, 3), 20 * number, np.uint8)) for number in range(len(times_s))
    ]
    [(shard, row)] = write_shard(folder, [StoredClip("clip", width, height, times_s, frames)])
    return ClipStore(folder), shard, row


def decoded(path: Path) -> list[tuple[float, int, int]]:
    with av.open(str(path)) as container:
        return [(round(float(frame.time), 3), frame.width, frame.height) for frame in container.decode(video=0)]


def test_odd_sizes_and_uneven_times(tmp_path: Path) -> None:
    times_s = [0.0, 0.1, 0.1001, 0.1002, 0.9]
    write_film(*stored(tmp_path, times_s), tmp_path / "film.mp4")
    assert decoded(tmp_path / "film.mp4") == [(t, 40, 30) for t in (0.0, 0.1, 0.101, 0.102, 0.9)]


def test_one_frame(tmp_path: Path) -> None:
    write_film(*stored(tmp_path, [0.0]), tmp_path / "film.mp4")
    assert len(decoded(tmp_path / "film.mp4")) == 1


def test_the_same_clip_gives_the_same_bytes(tmp_path: Path) -> None:
    place = stored(tmp_path, [0.1 * number for number in range(8)])
    for name in ("one.mp4", "two.mp4"):
        write_film(*place, tmp_path / name)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
