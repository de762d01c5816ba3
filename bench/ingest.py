"""Clips a second of ingest against PyAV that only decodes, by number of processes: ``python -m bench.ingest``.

Ingest hashes, probes, decodes in processes of their own, turns, shrinks, measures, stores JPEG and writes the manifest.
PyAV decodes the same files in as many processes. The start of processes counts for both. What the process computes that
everything goes through bounds what more of the others can bring.
"""

import argparse
import logging
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench.machine import describe
from bench.video import only_decode, write_video
from tasks.ingest import ingest
from tasks.params.data import IngestParams, SplitParams

_FPS = 30


def main() -> None:
    """Make the files, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=int, default=96)
    arguments.add_argument("--seconds", type=float, default=2.0, help="of each clip")
    arguments.add_argument("--size", default="640x480")
    arguments.add_argument("--max-fps", type=float, default=15.0, help="frames a second that are stored")
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes")
    options = arguments.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        width, height = map(int, options.size.split("x"))
        videos = _videos(folder / "videos", options.clips, width, height, options.seconds)
        params = IngestParams(short_side=128, max_fps=options.max_fps)
        print(describe("av", "simplejpeg"))
        print(
            f"{len(videos)} clips of {options.seconds:g} s, {options.size}, {_FPS} fps, stored at {options.max_fps:g}"
        )
        print("| processes | PyAV, clips/s | ingest, clips/s | of PyAV | against the first row | ingest's CPU s "
              "| of these its own process |\n|---|---|---|---|---|---|---|", flush=True)  # fmt: skip

        def take(num_workers: int, data: Path) -> None:
            ingest(folder / "videos", data, params, SplitParams(), seed=0, num_workers=num_workers)

        take(1, folder / "data-0")  # what is imported and opened once is no part of the first row
        first_s = None
        for num_workers in options.workers:
            data = folder / f"data-{num_workers}"
            bare = _cost(partial(_decode, videos, num_workers))
            ours = _cost(partial(take, num_workers, data))
            first_s = first_s or ours.wall_s
            print(f"| {num_workers} | {len(videos) / bare.wall_s:.1f} | {len(videos) / ours.wall_s:.1f} | "
                  f"{bare.wall_s / ours.wall_s:.2f} | {first_s / ours.wall_s:.2f} | {ours.own_s + ours.others_s:.1f} | "
                  f"{ours.own_s:.1f} |", flush=True)  # fmt: skip
        print(f"ingest again, nothing new: {_cost(partial(take, num_workers, data)).wall_s:.2f} s")


def _videos(folder: Path, num_clips: int, width: int, height: int, duration_s: float) -> list[Path]:
    paths = [folder / f"class-{number % 2}" / f"{number:03}.mp4" for number in range(num_clips)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, width, height, _FPS, duration_s, seed=number)
    return paths


def _decode(paths: Sequence[Path], num_workers: int) -> None:
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as executor:
        list(executor.map(only_decode, paths))


@dataclass(frozen=True)
class _Cost:
    """Seconds: by the clock, of this process, of those that it started."""

    wall_s: float
    own_s: float
    others_s: float


def _cost(work: Callable[[], None]) -> _Cost:
    start_s, own_s, others_s = time.perf_counter(), time.process_time(), _others_s()
    work()
    return _Cost(time.perf_counter() - start_s, time.process_time() - own_s, _others_s() - others_s)


def _others_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
