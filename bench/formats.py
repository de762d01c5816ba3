"""Verdicts on every container and codec that FFmpeg can write here: ``python -m bench.formats``.

Each encoder is put into the containers that are taken, and each other container that is a file gets the first usual
codec that it takes. What is of a container and a codec that are taken must be taken; all else must be refused with its
kind.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.codec import Codec
from av.format import ContainerFormat

from bench.machine import describe
from tasks.video.clips import WHOLE, Job, Limits, Reason, Recipe, Refused
from tasks.video.pool import decode_all
from tests.support.videos import pictures

_TAKEN = {"mp4": "mp4", "mov": "mov", "matroska": "mkv", "webm": "webm", "avi": "avi", "mpegts": "ts", "3gp": "3gp"}
_USUAL = ("libx264", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "libvpx", "flv", "wmv2", "gif", "apng", "rawvideo")
_EXPECTED = (Reason.CONTAINER, Reason.CODEC)
# Of what a transport stream has no number for, FFmpeg writes bytes that nobody can name again.
_NAMELESS = {"mpegts": (Reason.NO_VIDEO,)}
_NUM_FRAMES = 25
_SIZES = ((176, 144), (352, 288), (720, 576), (1920, 1080))
_RECIPE = Recipe(short_side=64, max_fps=240.0, jpeg_quality=80, min_duration_s=0.1, max_duration_s=60.0)


def main() -> None:
    """Write, decode, print."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    av.logging.set_level(None)
    print(describe("av"))
    with tempfile.TemporaryDirectory() as folder:
        files = list(_written(Path(folder)))
        jobs = [Job(str(path), (WHOLE,), _RECIPE, Limits(timeout_s=30.0)) for _, _, path in files]
        verdicts: dict[str, Counter[str]] = defaultdict(Counter)
        short = []
        for (container, encoder, _), (outcome,) in zip(files, decode_all(jobs, num_workers=1), strict=True):
            row = verdicts[container]
            row["files"] += 1
            row[str(outcome.reason) if isinstance(outcome, Refused) else "taken"] += 1
            if isinstance(outcome, Refused) and outcome.reason not in (*_EXPECTED, *_NAMELESS.get(container, ())):
                short.append(f"  {container} {encoder}: {outcome.reason}, {outcome}")
            elif not isinstance(outcome, Refused) and len(outcome.frames) < _NUM_FRAMES:
                short.append(f"  {container} {encoder}: {len(outcome.frames)} of {_NUM_FRAMES} frames")
    total = sum(verdicts.values(), Counter())
    print(f"{total['files']} files of {len(verdicts)} containers: {dict(total.most_common())}")
    for container in sorted(verdicts, key=lambda name: (name not in _TAKEN, name)):
        print(f"  {container:22}{dict(verdicts[container])}")
    print("neither taken whole nor refused for their container or codec:", *short, sep="\n")


def _written(folder: Path) -> Iterator[tuple[str, str, Path]]:
    encoders = [name for name in sorted(av.codecs_available) if _is_encoder(name)]
    for container, suffix in _TAKEN.items():
        for encoder in encoders:
            path = folder / f"{container}-{encoder}.{suffix}"
            if _write(path, container, encoder):
                yield container, encoder, path
    for container in sorted(av.formats_available):
        if container.split(",")[0] in _TAKEN:
            continue
        try:
            format_ = ContainerFormat(container.split(",")[0], "w")
        except ValueError:
            continue
        if not format_.extensions:  # a device or the network
            continue
        for encoder in _USUAL:
            path = folder / f"{format_.name}-{encoder}.{min(format_.extensions)}"
            if encoder in encoders and _write(path, format_.name, encoder):
                yield format_.name, encoder, path
                break


def _is_encoder(name: str) -> bool:
    try:
        codec = Codec(name, "w")
    except ValueError:
        return False
    return codec.type == "video" and not codec.name.endswith(("_nvenc", "_qsv", "_amf", "_v4l2m2m", "_vaapi"))


def _write(path: Path, container: str, encoder: str) -> bool:
    """Whether the encoder takes one of the usual sizes, and the container the encoder."""
    for width, height in _SIZES:
        try:
            _encode(path, container, encoder, width, height)
            return path.is_file() and path.stat().st_size > 0
        except (av.FFmpegError, ValueError, TypeError, NotImplementedError):
            path.unlink(missing_ok=True)
    return False


def _encode(path: Path, container: str, encoder: str, width: int, height: int) -> None:
    formats = [format_.name for format_ in Codec(encoder, "w").video_formats or ()]
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(encoder, rate=25)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p" if "yuv420p" in formats or not formats else formats[0]
        for picture in pictures(_NUM_FRAMES, width, height):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        file.mux(stream.encode())


if __name__ == "__main__":
    main()
