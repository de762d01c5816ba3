"""Processor time of ingest's decoding beside PyAV's: ``python -m bench.decoding FOLDER``.

Both take every file of the folder in this process, on one thread: PyAV decodes and does nothing else; ingest's decoder
checks, decodes, shrinks, measures and makes JPEGs. Processor time is what the load of a machine changes least.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import av

from bench.machine import describe
from tasks.video.clips import WHOLE, Job, Recipe, Refused
from tasks.video.decode import decode

_REPEATS = 2


def main() -> None:
    """Measure in turn, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--max-fps", type=float, default=15.0)
    options = arguments.parse_args()
    print(describe("av", "simplejpeg"))
    paths = sorted(path for path in options.folder.iterdir() if path.suffix in (".mp4", ".mkv"))
    recipe = Recipe(short_side=128, max_fps=options.max_fps, jpeg_quality=90, min_duration_s=0.2, max_duration_s=600.0)
    bare_s, ours_s = [], []
    for _ in range(_REPEATS):
        bare_s.append(_processor_s(_only_decode, paths))
        ours_s.append(_processor_s(lambda path: _ours(path, recipe), paths))
    bare, ours = min(bare_s), min(ours_s)
    print(f"{len(paths)} files, stored at {options.max_fps:g} fps: PyAV {bare:.2f} s, ingest's decoder {ours:.2f} s")
    print(f"{bare / ours:.2f} of PyAV's speed by processor time")


def _only_decode(path: Path) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass


def _ours(path: Path, recipe: Recipe) -> None:
    [outcome] = decode(Job(str(path), (WHOLE,), recipe))
    assert not isinstance(outcome, Refused), outcome


def _processor_s(take: Callable[[Path], None], paths: list[Path]) -> float:
    start_s = time.process_time()
    for path in paths:
        take(path)
    return time.process_time() - start_s


if __name__ == "__main__":
    main()
