"""Memory, or speed, of ingest on one long film: ``python -m bench.film [--minutes 60] [--speed] [--workers 2 ...]``.

A 1080p H.264 film is cut into windows of 10 seconds by a table. Memory is the largest sum over all processes of what
each holds by itself and its share of what they hold together (Pss), sampled ten times a second, and the largest of one
decoding process. Sampling takes a part of a core, so that speed is measured without it, beside PyAV, which decodes the
film on one thread and does nothing else.
"""

import argparse
import csv
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

import av

from bench.machine import describe
from bench.memory import Memory
from bench.video import only_decode, write_video
from tasks.ingest import ingest
from tasks.params.data import IngestParams

_WINDOW_S = 10.0
_PART_S = 4.0


def main() -> None:
    """Make the film, ingest it, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=60.0)
    arguments.add_argument("--fps", type=int, default=30)
    arguments.add_argument("--speed", action="store_true", help="measure speed, not memory")
    arguments.add_argument("--workers", type=int, nargs="+", default=[2], help="decoding processes, one turn each")
    options = arguments.parse_args()
    logging.disable(logging.WARNING)
    print(describe("av", "simplejpeg"))
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        # In a process of its own: what an encoder leaves in memory is no part of ingest.
        made = get_context("spawn").Process(target=_write_film, args=(film, options.minutes * 60.0, options.fps))
        made.start()
        made.join()
        table = _windows(film, options.minutes * 60.0)
        print(f"{options.minutes:g} minutes, 1080p, {options.fps} fps, {film.stat().st_size / 1e6:.0f} MB", flush=True)
        params = IngestParams(short_side=128, max_fps=15.0, max_duration_s=30.0, clips_per_shard=128)

        def take(num_workers: int) -> None:
            ingest(table, _data(film, num_workers), params, None, seed=0, has_labels=False, num_workers=num_workers)

        if options.speed:
            _speed(film, take, options.workers)
        else:
            _memory(film, take, options.workers)


def _memory(film: Path, take: Callable[[int], None], workers: Sequence[int]) -> None:
    for num_workers in workers:
        with Memory() as memory:
            take(num_workers)
        stored = sum(path.stat().st_size for path in (_data(film, num_workers) / "shards").iterdir()) / 1e6
        print(f"{num_workers} processes: {stored:.0f} MB stored, at most {memory.peak_mb:.0f} MB together, "
              f"{memory.worker_mb:.0f} MB in one decoding process", flush=True)  # fmt: skip


def _speed(film: Path, take: Callable[[int], None], workers: Sequence[int]) -> None:
    bare_s = _seconds(lambda: only_decode(film))
    print(f"PyAV: {bare_s:.1f} s", flush=True)
    first_s = None
    for num_workers in workers:
        took_s = _seconds(lambda num_workers=num_workers: take(num_workers))
        first_s = first_s or took_s
        print(f"{num_workers} processes: {took_s:.1f} s, {bare_s / took_s:.2f} of PyAV's speed, "
              f"{first_s / took_s:.2f} times as fast as the first", flush=True)  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def _data(film: Path, num_workers: int) -> Path:
    return film.with_name(f"data-{num_workers}")


def _write_film(film: Path, duration_s: float, fps: int) -> None:
    """The same few seconds again and again: encoding an hour would take hours."""
    part = film.with_name("part.mp4")
    write_video(part, 1920, 1080, fps, _PART_S, seed=0, noise_sd=0.0)
    with av.open(str(part)) as source, av.open(str(film), "w") as target:
        video = source.streams.video[0]
        packets = [packet for packet in source.demux(video) if packet.size]
        stream = target.add_stream_from_template(video)
        for _ in range(round(duration_s / _PART_S)):
            for packet in packets:
                packet.stream = stream
                target.mux(packet)
                packet.pts, packet.dts = packet.pts + video.duration, packet.dts + video.duration
    part.unlink()


def _windows(film: Path, duration_s: float) -> Path:
    table = film.with_name("clips.csv")
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "start_s", "end_s"])
        rows.writerows([film.name, n * _WINDOW_S, (n + 1) * _WINDOW_S] for n in range(int(duration_s / _WINDOW_S)))
    return table


if __name__ == "__main__":
    main()
