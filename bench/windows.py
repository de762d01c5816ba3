"""Seconds to list the windows of a long film, by its header and by decoding it: ``python -m bench.windows``."""

import argparse
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from bench.machine import describe
from tasks.params.data import IngestParams, WindowParams
from tasks.video.clips import WHOLE, Job, Limits, Recipe, Refused
from tasks.video.pool import declared_lengths
from tasks.video.windows import windows_of

_FPS = 5
_SIDE = 64


def main() -> None:
    """Make the film, list its windows both ways, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hours", type=float, default=4.0)
    options = arguments.parse_args()
    print(describe("av"))
    ingest = IngestParams(windows=WindowParams(length_s=10))
    with tempfile.TemporaryDirectory() as folder:
        film = _film(Path(folder) / "film.mp4", options.hours)
        print(
            f"{options.hours:g} h of {_SIDE}x{_SIDE} at {_FPS} fps, {film.stat().st_size / 1e6:.0f} MB, windows of 10 s"
        )
        job = Job(str(film), (), Recipe.of(ingest), Limits.of(ingest.limits))
        started = time.perf_counter()
        [length_s] = declared_lengths([job], num_workers=1)
        assert not isinstance(length_s, Refused)
        _say("header, in a process that is started for it", started, length_s, ingest)
        started = time.perf_counter()
        _say("PyAV, every frame decoded", started, _decoded(film), ingest)


def _say(how: str, started: float, length_s: float, ingest: IngestParams) -> None:
    windows = windows_of(WHOLE, length_s, ingest.windows, ingest.min_duration_s)
    print(f"{how:45} {time.perf_counter() - started:8.2f} s   {len(windows)} windows")


def _film(path: Path, hours: float) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (_SIDE, _SIDE, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = _SIDE, _SIDE, "yuv420p"
        for number in range(round(hours * 3600 * _FPS)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(noise, number, 1), format="rgb24")))
        container.mux(stream.encode())
    return path


def _decoded(film: Path) -> float:
    with av.open(str(film)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        last = 0.0
        for frame in container.decode(video=0):
            last = float(frame.time)
    return last + 1 / _FPS


if __name__ == "__main__":
    main()
