"""What files that are made to cost much cost: ``python -m bench.bombs``.

Each goes through the decoding pool with the limits that params.yaml has. Memory is the largest of the worker, sampled
ten times a second (Pss).
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import av
import numpy as np

from bench.machine import describe
from bench.memory import Memory
from tasks.params.data import IngestParams
from tasks.video.clips import WHOLE, Job, Limits, Recipe, Refused
from tasks.video.pool import DecodingPool

_WIDTH, _HEIGHT = 8192, 4320
_BYTES_A_PIXEL = 1.5
_RATE, _PART_FRAMES = 100, 20
_BEGUN = 2_000


def main() -> None:
    """Make each, decode it, print a row of each."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    params = IngestParams(max_duration_s=30.0, max_fps=15.0)
    print(describe("av", "simplejpeg"))
    print("| file | MB | verdict | s | MB of the worker |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in _FILES.items():
            path = Path(folder) / "file"
            with make(path):
                _row(name, path, params)
            path.unlink()


def _row(name: str, path: Path, params: IngestParams) -> None:
    limits = Limits.of(params.limits)
    pool = DecodingPool(1, memory_gb=limits.memory_gb)
    pool.start()
    began_s = time.perf_counter()
    with Memory() as memory:
        [outcome] = pool.submit(Job(str(path), (WHOLE,), Recipe.of(params), limits)).result()
        took_s = time.perf_counter() - began_s
    pool.close()
    verdict = str(outcome) if isinstance(outcome, Refused) else f"taken, {len(outcome.frames)} frames stored"
    size = path.stat().st_size / 1e6
    print(f"| {name} | {size:.1f} | {verdict} | {took_s:.1f} | {memory.worker_mb:.0f} |", flush=True)


@contextmanager
def _still(path: Path, gigabytes: float, width: int = _WIDTH, height: int = _HEIGHT) -> Iterator[None]:
    """A picture that stands still, in a small file."""
    num_frames = round(gigabytes * 1e9 / (width * height * _BYTES_A_PIXEL))
    part = _part(path, width, height)
    _repeat(part, path, "mp4", lambda number: number < num_frames)
    yield


@contextmanager
def _device(path: Path) -> Iterator[None]:
    path.symlink_to("/dev/zero")
    yield


@contextmanager
def _pipe(path: Path) -> Iterator[None]:
    os.mkfifo(path)
    yield


@contextmanager
def _growing(path: Path) -> Iterator[None]:
    """A transport stream to which somebody appends faster than it can be decoded."""
    ended, begun = threading.Event(), threading.Event()

    def goes_on(number: int) -> bool:
        if number == _BEGUN:
            begun.set()
        return not (number > _BEGUN and number % 100 == 0 and ended.wait(0.01))

    writer = threading.Thread(target=_repeat, args=(_part(path, 640, 480), path, "mpegts", goes_on))
    writer.start()
    begun.wait(60.0)
    try:
        yield
    finally:
        ended.set()
        writer.join()


def _part(path: Path, width: int, height: int) -> Path:
    part = path.with_name("part.mp4")
    with av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        black = av.VideoFrame.from_ndarray(np.zeros((height * 3 // 2, width), np.uint8), "yuv420p")
        for number in range(_PART_FRAMES):
            black.pts = number
            container.mux(stream.encode(black))
        container.mux(stream.encode())
    return part


def _repeat(part: Path, path: Path, container: str, goes_on: Callable[[int], bool]) -> None:
    """The same few packets again and again."""
    with av.open(str(part)) as source, av.open(str(path), "w", format=container) as target:
        video = source.streams.video[0]
        packets = [packet for packet in source.demux(video) if packet.size]
        stream = target.add_stream_from_template(video)
        number = 0
        while goes_on(number):
            packet = packets[number % len(packets)]
            packet.stream = stream
            target.mux(packet)
            step = round(_PART_FRAMES / _RATE / packet.time_base)  # of the container it went into
            packet.pts, packet.dts = packet.pts + step, packet.dts + step
            number += 1


_FILES: dict[str, Callable[[Path], AbstractContextManager[None]]] = {
    "14.9 GB of pixels, 8192x4320": lambda path: _still(path, 14.9),
    "120 GB of pixels, 8192x4320": lambda path: _still(path, 120.0),
    "a picture of 8192x8192": lambda path: _still(path, 0.1, 8192, 8192),
    "a link to /dev/zero": _device,
    "a pipe that nobody writes to": _pipe,
    "a stream that grows faster than it is decoded": _growing,
}


if __name__ == "__main__":
    main()
