"""Clips a second of the training loader beside decoders and packed formats: ``python -m bench.loader``.

All give 16 frames of a random window at 112 px, cropped and in batches of 16, out of the same 10-second H.264 files
(320x240, or larger ones by ``--height``); one decoding thread each. The loader is the one that training uses,
augmentation included. Cold means that the page cache forgot the files and that they are opened anew; each clip is read
once then. A rival that is not installed is named and left out.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import simplejpeg
import torch

from bench import packs
from bench.machine import describe
from bench.seeking import (
    DURATION_S,
    FPS,
    HEIGHT,
    INPUT,
    WIDTH,
    Window,
    with_decord,
    with_opencv,
    with_pyav,
    with_torchcodec,
)
from bench.video import write_video
from models.clips.augment import Preprocess
from models.clips.loader import ClipLoader
from models.clips.manifest import labels_of, read_manifest
from models.clips.shards import ClipStore
from models.memory import keep_freed_memory
from models.spec import AugmentParams
from tasks.ingest import ingest
from tasks.params.data import IngestParams, SplitParams

_BATCH_SIZE = 16
_NUM_FILES = 24
_REPEATS = 1_000
_DECODERS: dict[str, Callable[[], Window]] = {
    "PyAV, random positions": lambda: with_pyav,
    "OpenCV": with_opencv,
    "decord2": with_decord,
    "torchcodec": with_torchcodec,
}


def main() -> None:
    """Make the files, measure, print a line for each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=10.0, help="measured time of each, warm and cold")
    arguments.add_argument("--alone", action="store_true", help="the loader beside PyAV, and no others")
    arguments.add_argument("--height", type=int, default=240, metavar="PX", help="of the files, 4:3 (240)")
    options = arguments.parse_args()
    decoders = dict(list(_DECODERS.items())[:1]) if options.alone else _DECODERS
    formats = {} if options.alone else packs.FORMATS
    torch.set_num_threads(1)
    keep_freed_memory()  # as training does
    logging.disable(logging.WARNING)
    print(describe("av", "torch", "simplejpeg"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        videos = _videos(Path(folder) / "videos", options.height)
        data = Path(folder) / "data"
        ingest(videos[0].parents[1], data, IngestParams(short_side=HEIGHT, max_fps=FPS), SplitParams(), seed=0)
        table = _Table(options.seconds)
        for name, make in decoders.items():
            table.line(name, videos, lambda make=make: _batches_of_windows(make(), videos))
        clips = _stored(data)
        for name, write in formats.items():
            place = Path(folder) / write.__name__
            place.mkdir()
            table.format(name, place, partial(write, place, clips))
        shards = sorted((data / "shards").iterdir())
        table.line("loader", shards, lambda: _batches_of_loader(data, None))
        table.line("loader with augmentation", shards, lambda: _batches_of_loader(data, AugmentParams()))
        print(f"quality against what was shrunk: JPEG {_quality(clips, as_jpeg=True):.1f} dB, H.264 after it "
              f"{_quality(clips, as_jpeg=False):.1f} dB")  # fmt: skip


def _videos(folder: Path, height: int) -> list[Path]:
    paths = [folder / f"class-{number % 2}" / f"{number:02}.mp4" for number in range(_NUM_FILES)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, height * 4 // 3, height, FPS, DURATION_S, seed=number)
    return paths


def _stored(data: Path) -> list[list[bytes]]:
    store, manifest = ClipStore(data / "shards"), read_manifest(data / "manifest.parquet")
    places = zip(manifest["shard"], manifest["row"], strict=True)
    return [[bytes(frame) for frame in store.frames(shard, row)] for shard, row in places]


def _batches_of_windows(window: Window, videos: list[Path]) -> Callable[[], None]:
    rng = np.random.default_rng(0)
    return _batched(lambda: window(videos[rng.integers(len(videos))], rng))


def _batched(read: packs.Read) -> Callable[[], None]:
    preprocess = Preprocess(INPUT)

    def batch() -> None:
        preprocess(torch.from_numpy(np.stack([read() for _ in range(_BATCH_SIZE)])))

    return batch


def _batches_of_loader(data: Path, augment: AugmentParams | None) -> Callable[[], None]:
    manifest = read_manifest(data / "manifest.parquet")
    # Few files, repeated: one long epoch.
    clips = manifest.loc[manifest.index.repeat(_REPEATS)]
    loader = ClipLoader(data, clips, labels_of(manifest), INPUT, _BATCH_SIZE, augment=augment, shuffle=True)
    batches = loader.epoch(0)

    def batch() -> None:
        next(batches)

    return batch


def _quality(clips: Sequence[packs.Jpegs], *, as_jpeg: bool) -> float:
    """Signal to noise in dB of stored frames that are stored once more, in the mean."""
    frames = [simplejpeg.decode_jpeg(jpeg)[:, : WIDTH // 2 * 2] for jpeg in clips[0][:64]]
    if as_jpeg:
        again = [simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(np.ascontiguousarray(frame), 90)) for frame in frames]
    else:
        with tempfile.TemporaryDirectory() as folder:
            packs.write_h264(Path(folder) / "a.mp4", frames)
            again = list(packs._window(Path(folder) / "a.mp4", np.arange(64)))
    error = np.mean([np.square(a.astype(float) - b).mean() for a, b in zip(frames, again, strict=True)])
    return float(10 * np.log10(255**2 / error))


@dataclass(frozen=True)
class _Cost:
    clips_per_s: float
    cpu_ms: float


class _Table:
    """Lines of figures, each beside the first one's."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._first: _Cost | None = None
        print(f"{'':28}{'clips/s':>9}{'ratio':>7}{'CPU ms/clip':>13}{'cold clips/s':>14}{'kB/clip':>9}", flush=True)

    def format(self, name: str, place: Path, write: Callable[[], Callable[[], packs.Read]]) -> None:
        """Write a format and measure it."""
        try:
            opened = write()
        except ImportError as error:
            print(f"{name:28} is not installed: {error}", flush=True)
            return
        self.line(name, [path for path in place.rglob("*") if path.is_file()], lambda: _batched(opened()))

    def line(self, name: str, files: Sequence[Path], make: Callable[[], Callable[[], None]]) -> None:
        """Measure what ``make`` gives, which reads ``files``."""
        try:
            warm = _warm(make, self._seconds)
        except (ImportError, OSError, RuntimeError) as error:
            print(f"{name:28} cannot be used here: {str(error).splitlines()[0]}", flush=True)
            return
        self._first = self._first or warm
        ratio, size = warm.clips_per_s / self._first.clips_per_s, sum(path.stat().st_size for path in files)
        cold = _cold(make, files, self._seconds)
        print(
            f"{name:28}{warm.clips_per_s:9.0f}{ratio:7.1f}{warm.cpu_ms:13.2f}{cold:14.0f}"
            f"{size / _NUM_FILES / 1000:9,.0f}", flush=True
        )  # fmt: skip


def _warm(make: Callable[[], Callable[[], None]], seconds: float) -> _Cost:
    batch = make()
    batch()
    start_s, cpu_s, num_clips = time.perf_counter(), time.process_time(), 0
    while (elapsed_s := time.perf_counter() - start_s) < seconds:
        batch()
        num_clips += _BATCH_SIZE
    return _Cost(num_clips / elapsed_s, (time.process_time() - cpu_s) / num_clips * 1000)


def _cold(make: Callable[[], Callable[[], None]], files: Sequence[Path], seconds: float) -> float:
    elapsed_s, num_clips = 0.0, 0
    while elapsed_s < seconds:
        for path in files:
            _forget(path)
        start_s = time.perf_counter()
        batch = make()
        for _ in range(_NUM_FILES // _BATCH_SIZE + 1):
            batch()
            num_clips += _BATCH_SIZE
        elapsed_s += time.perf_counter() - start_s
    return num_clips / elapsed_s


def _forget(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
