"""Processor time of ingest's decoding beside PyAV's: ``python -m bench.decoding [FOLDER...]``.

Both take every file in this process, on one thread: PyAV decodes and does nothing else; ingest's decoder checks,
decodes, shrinks, measures and makes JPEGs of 15 frames a second. Processor time is what the load of a machine changes
least; the least of several turns counts. A folder of video becomes a row of its own.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.machine import describe
from bench.video import only_decode, write_video
from tasks.video.clips import WHOLE, Job, Recipe, Refused
from tasks.video.decode import decode

_RECIPE = Recipe(short_side=128, max_fps=15.0, jpeg_quality=90, min_duration_s=0.2, max_duration_s=600.0)
_TURN_S = 1.0
_TURNS = 5
_USUAL: dict[str, str] = {}
_PHONE = {"x264-params": "bframes=0", "b": "17M"}
_MADE = {
    "1920x1080, as x264 writes it": (1920, 1080, 3.0, _USUAL),
    "1920x1080, 17 Mbit/s without B-frames": (1920, 1080, 3.0, _PHONE),
    "1280x720, as x264 writes it": (1280, 720, 4.0, _USUAL),
    "640x480, as x264 writes it": (640, 480, 10.0, _USUAL),
    "640x480, without B-frames": (640, 480, 10.0, {"x264-params": "bframes=0"}),
    "320x240, as x264 writes it": (320, 240, 10.0, _USUAL),
}


def main() -> None:
    """Make the files, measure in turn, print a row for each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folders", type=Path, nargs="*")
    options = arguments.parse_args()
    print(describe("av", "simplejpeg"))
    print("| H.264, 30 frames a second | PyAV, ms a frame | ingest's decoder | of PyAV's speed |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for name, (width, height, duration_s, encoding) in _MADE.items():
            path = Path(temporary) / f"{width}.mp4"
            write_video(path, width, height, 30, duration_s, seed=0, options=encoding)
            _row(name, [path])
    for folder in options.folders:
        _row(folder.name, sorted(path for path in folder.iterdir() if path.suffix in (".mp4", ".mkv")))


def _row(name: str, paths: Sequence[Path]) -> None:
    num_frames = sum(map(only_decode, paths))
    began_s = time.process_time()
    for path in paths:
        _ours(path)
    passes = max(1, round(_TURN_S / (time.process_time() - began_s)))
    bare_s, ours_s = [], []
    for _ in range(_TURNS):
        bare_s.append(_processor_s(only_decode, paths, passes))
        ours_s.append(_processor_s(_ours, paths, passes))
    bare, ours = (1e3 * min(each) / (num_frames * passes) for each in (bare_s, ours_s))
    print(f"| {name} | {bare:.2f} | {ours:.2f} | {bare / ours:.2f} |", flush=True)


def _ours(path: Path) -> None:
    [outcome] = decode(Job(str(path), (WHOLE,), _RECIPE))
    assert not isinstance(outcome, Refused), outcome


def _processor_s(take: Callable[[Path], object], paths: Sequence[Path], passes: int) -> float:
    start_s = time.process_time()
    for _ in range(passes):
        for path in paths:
            take(path)
    return time.process_time() - start_s


if __name__ == "__main__":
    main()
