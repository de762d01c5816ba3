"""Verdicts on damaged video: ``python -m bench.fuzz [--files 2000] [--real FOLDER]``.

Small good files of every container and codec that is taken are damaged at random (the seed gives the same files again)
and decoded as ingest decodes, every frame stored. Beside it stands a strict reference, PyAV with
``err_detect=explode``: a file that is taken with fewer frames than the reference finds has lost frames silently. With
``--real``, good files of a folder are counted that are refused.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from bench.machine import describe
from tasks.video.clips import WHOLE, DecodedClip, Job, Limits, Reason, Recipe, Refused
from tasks.video.pool import decode_all
from tests.support.damage import DAMAGES
from tests.support.videos import pictures, write_video

_NUM_FRAMES = 24
_RECIPE = Recipe(short_side=48, max_fps=240.0, jpeg_quality=80, min_duration_s=0.1, max_duration_s=60.0)
_LIMITS = Limits(timeout_s=20.0, timeout_per_s=0.0, memory_gb=1.0)
_FORMATS = (
    ("mp4", "libx264", "yuv420p", {}),
    ("mp4", "libx264", "yuv420p", {"movflags": "faststart"}),
    ("mp4", "libx264", "yuv420p", {"movflags": "frag_keyframe+empty_moov"}),
    ("mp4", "libx265", "yuv420p", {}),
    ("mp4", "mpeg4", "yuv420p", {}),
    ("mov", "libx264", "yuv420p", {}),
    ("mkv", "libx264", "yuv420p", {}),
    ("mkv", "libsvtav1", "yuv420p", {}),
    ("webm", "libvpx", "yuv420p", {}),
    ("webm", "libvpx-vp9", "yuv420p", {}),
    ("avi", "mpeg4", "yuv420p", {}),
    ("avi", "mjpeg", "yuvj420p", {}),
    ("ts", "libx264", "yuv420p", {}),
)


@dataclass(frozen=True)
class _File:
    path: Path
    format: str
    damage: str


def main() -> None:
    """Damage, decode, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=2_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--real", type=Path, default=None, help="folder of good files")
    arguments.add_argument("--show", action="store_true", help="name the files that lost frames")
    options = arguments.parse_args()
    print(describe("av"))
    with tempfile.TemporaryDirectory() as folder:
        files = list(_damaged(Path(folder), options.files, np.random.default_rng(options.seed)))
        _print_verdicts(files, options.workers, show=options.show)
    if options.real:
        _print_real(sorted(path for path in options.real.iterdir() if path.suffix in (".mp4", ".mkv")), options.workers)


def _damaged(folder: Path, num_files: int, rng: np.random.Generator) -> Iterator[_File]:
    good = []
    for number, (suffix, codec, pix_fmt, container_options) in enumerate(_FORMATS):
        path = folder / f"good-{number}.{suffix}"
        shown = pictures(_NUM_FRAMES, 96, 80)
        write_video(path, shown, codec=codec, pix_fmt=pix_fmt, gop_size=8, container_options=container_options)
        good.append((f"{suffix} {codec}", path.read_bytes(), suffix))
    names = list(DAMAGES)
    for number in range(num_files):
        format_, content, suffix = good[number % len(good)]
        damage = names[number // len(good) % len(names)]
        path = folder / f"{number:05}.{suffix}"
        path.write_bytes(DAMAGES[damage](content, rng))
        yield _File(path, format_, damage)


def _print_verdicts(files: list[_File], num_workers: int, *, show: bool) -> None:
    jobs = [Job(str(file.path), (WHOLE,), _RECIPE, _LIMITS) for file in files]
    verdicts: dict[str, Counter[str]] = {damage: Counter() for damage in DAMAGES}
    reasons: Counter[str] = Counter()
    lost, slow, crashed = [], 0, 0
    for file, (outcome,) in zip(files, decode_all(jobs, num_workers=num_workers, memory_gb=1.0), strict=True):
        row = verdicts[file.damage]
        if isinstance(outcome, Refused):
            row["refused"] += 1
            reasons[outcome.reason] += 1
            if outcome.reason is Reason.CRASH:
                crashed += 1
                lost.append(f"  {file.path.name} {file.format} {file.damage}: {outcome}")
            slow += outcome.reason is Reason.BUDGET and not outcome.lasting
            continue
        num_kept = len(outcome.frames) + outcome.num_disordered
        num_found, whole = _strictly(file.path)
        row["whole" if num_kept == _NUM_FRAMES else "fewer"] += 1
        row["counted"] += outcome.num_disordered > 0
        row["unsound"] += not whole
        if num_kept < num_found:
            row["lost"] += 1
        if num_kept < _NUM_FRAMES:
            lost.append(f"  {file.path.name} {file.format} {file.damage}: {num_kept}, reference {num_found} {whole}")
    columns = {
        "refused": "refused",
        "whole": "taken whole",
        "fewer": "fewer frames than written",
        "counted": "with frames left out and counted",
        "unsound": "reference complains",
        "lost": "silently lost",
    }
    print("| damage | files | " + " | ".join(columns.values()) + " |")
    print("|---|" + "---|" * (len(columns) + 1))
    for damage, row in verdicts.items():
        total = sum(row[name] for name in ("refused", "whole", "fewer"))
        print(f"| {damage} | {total} | " + " | ".join(str(row[name]) for name in columns) + " |")
    print(f"{len(files)} files: {crashed} crashes, {slow} hangs, {sum(row['lost'] for row in verdicts.values())} lost")
    print("reasons: " + ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()))
    if show:
        print("\n".join(lost))


def _strictly(path: Path) -> tuple[int, bool]:
    """How many frames a decoder finds that stops at the first error, and whether it found none."""
    num_frames = 0
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            for _ in container.decode(stream):
                num_frames += 1
    except (av.FFmpegError, IndexError):
        return num_frames, False
    return num_frames, True


def _print_real(paths: list[Path], num_workers: int) -> None:
    recipe = Recipe(short_side=128, max_fps=15.0, jpeg_quality=90, min_duration_s=0.5, max_duration_s=600.0)
    jobs = [Job(str(path), (WHOLE,), recipe) for path in paths]
    refused = []
    for path, (outcome,) in zip(paths, decode_all(jobs, num_workers=num_workers), strict=True):
        if not isinstance(outcome, DecodedClip):
            refused.append(f"{path.name} {outcome}")
    print(f"{len(paths)} good files of {paths[0].parent.name}: {len(refused)} refused {refused}")


if __name__ == "__main__":
    main()
