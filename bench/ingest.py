"""Clips a second of ingest against decoding the same files with PyAV and nothing else: ``python -m bench.ingest``.

Ingest hashes, probes, decodes in processes of their own, turns, shrinks, measures, stores JPEG and writes the manifest.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av

from bench.machine import describe
from bench.video import write_video
from tasks.ingest import ingest
from tasks.params.data import IngestParams, SplitParams

_DURATION_S = 2.0
_FPS = 30


def main() -> None:
    """Make the files, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=int, default=96)
    arguments.add_argument("--workers", type=int, default=None, help="decoding processes; default: one a CPU")
    options = arguments.parse_args()
    logging.disable(logging.WARNING)
    print(describe("av", "simplejpeg"))
    with tempfile.TemporaryDirectory() as folder:
        videos = _videos(Path(folder) / "videos", options.clips)
        data = Path(folder) / "data"

        def take() -> None:
            ingest(Path(folder) / "videos", data, IngestParams(), SplitParams(), seed=0, num_workers=options.workers)

        print(f"{options.clips} clips of {_DURATION_S:g} s, 640x480, {_FPS} fps, H.264")
        bare_s = _line("PyAV, one process", lambda: _decode(videos), options.clips)
        first_s = _line("ingest", take, options.clips)
        _line("ingest again, nothing new", take, options.clips)
        print(f"ingest is {bare_s / first_s:.2f} times as fast as one process that only decodes")


def _videos(folder: Path, num_clips: int) -> list[Path]:
    paths = [folder / f"class-{number % 2}" / f"{number:03}.mp4" for number in range(num_clips)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, 640, 480, _FPS, _DURATION_S, seed=number)
    return paths


def _decode(paths: list[Path]) -> None:
    for path in paths:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for _ in container.decode(video=0):
                pass


def _line(name: str, work: Callable[[], None], num_clips: int) -> float:
    start_s = time.perf_counter()
    work()
    elapsed_s = time.perf_counter() - start_s
    print(f"{name:28}{num_clips / elapsed_s:9.0f} clips/s{elapsed_s:9.2f} s")
    return elapsed_s


if __name__ == "__main__":
    main()
