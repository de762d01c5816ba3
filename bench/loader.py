"""Clips a second of the training loader against decoding with PyAV at random positions: ``python -m bench.loader``.

Both give 16 frames of a random window at 112 px, cropped and in batches of 16, out of the same 10-second 320x240 H.264
files. One decoding thread each; the loader is the one that training uses, augmentation included.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch

from bench.machine import describe
from bench.video import write_video
from models.clips.augment import Preprocess
from models.clips.loader import ClipLoader
from models.clips.manifest import labels_of, read_manifest
from models.clips.sampling import ClipInput, frame_indices
from models.memory import keep_freed_memory
from models.spec import AugmentParams
from tasks.ingest import ingest
from tasks.params import IngestParams, SplitParams

_INPUT = ClipInput(num_frames=16, span_s=2.0, size=112, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
_BATCH_SIZE = 16
_NUM_FILES = 24
_DURATION_S = 10.0
_REPEATS = 1_000


def main() -> None:
    """Make the files, measure both, print the ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=10.0, help="measured time of each")
    seconds = arguments.parse_args().seconds
    torch.set_num_threads(1)
    keep_freed_memory()  # as training does
    logging.disable(logging.INFO)
    print(describe("av", "torch", "simplejpeg"))
    with tempfile.TemporaryDirectory() as folder:
        videos = _videos(Path(folder) / "videos")
        data = Path(folder) / "data"
        ingest(videos[0].parents[1], data, IngestParams(short_side=128, max_fps=30), SplitParams(), seed=0)
        shards = sum(path.stat().st_size for path in (data / "shards").iterdir())
        print(f"{'':28}{'clips/s':>9}{'ratio':>7}{'CPU ms/clip':>13}{'kB per 10 s':>13}")
        seeking = _measure(_seeking(videos), seconds)
        _line("PyAV, random positions", seeking, seeking, sum(path.stat().st_size for path in videos))
        _line("loader", _measure(_loading(data, None), seconds), seeking, shards)
        _line("loader with augmentation", _measure(_loading(data, AugmentParams()), seconds), seeking, shards)


def _videos(folder: Path) -> list[Path]:
    paths = [folder / f"class-{number % 2}" / f"{number:02}.mp4" for number in range(_NUM_FILES)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, 320, 240, 30, _DURATION_S, seed=number)
    return paths


def _seeking(videos: list[Path]) -> Callable[[], None]:
    rng = np.random.default_rng(0)
    preprocess = Preprocess(_INPUT)

    def batch() -> None:
        clips = [_window(videos[rng.integers(len(videos))], rng) for _ in range(_BATCH_SIZE)]
        preprocess(torch.from_numpy(np.stack(clips)))

    return batch


def _window(path: Path, rng: np.random.Generator) -> np.ndarray:
    """16 frames of a random window, by seeking to the key frame before it, shrunk as the shards are."""
    span_s = _INPUT.span_s or _DURATION_S
    start_s = rng.uniform(0.0, _DURATION_S - span_s)
    frames, times_s = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(int(start_s / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.time >= start_s:
                frames.append(frame)
                times_s.append(frame.time - start_s)
            if frame.time >= start_s + span_s:
                break
    chosen = frame_indices(np.array(times_s), _INPUT)
    return np.stack([frames[index].reformat(171, 128, "rgb24", threads=1).to_ndarray() for index in chosen])


def _loading(data: Path, augment: AugmentParams | None) -> Callable[[], None]:
    manifest = read_manifest(data / "manifest.parquet")
    # Few files, repeated: one long epoch.
    clips = manifest.loc[manifest.index.repeat(_REPEATS)]
    loader = ClipLoader(data, clips, labels_of(manifest), _INPUT, _BATCH_SIZE, augment=augment, shuffle=True)
    batches = loader.epoch(0)

    def batch() -> None:
        next(batches)

    return batch


@dataclass(frozen=True)
class _Cost:
    clips_per_s: float
    cpu_ms: float


def _measure(batch: Callable[[], None], seconds: float) -> _Cost:
    batch()
    start_s, cpu_s, num_clips = time.perf_counter(), time.process_time(), 0
    while (elapsed_s := time.perf_counter() - start_s) < seconds:
        batch()
        num_clips += _BATCH_SIZE
    return _Cost(num_clips / elapsed_s, (time.process_time() - cpu_s) / num_clips * 1000)


def _line(name: str, cost: _Cost, baseline: _Cost, num_bytes: int) -> None:
    ratio = cost.clips_per_s / baseline.clips_per_s
    print(f"{name:28}{cost.clips_per_s:9.0f}{ratio:7.1f}{cost.cpu_ms:13.2f}{num_bytes / _NUM_FILES / 1000:13,.0f}")


if __name__ == "__main__":
    main()
