"""Video files of every kind, good and bad, made by PyAV or by editing bytes."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

TIME_BASE = Fraction(1, 1000)


def pictures(num_frames: int, width: int = 64, height: int = 48, *, seed: int = 0) -> list[NDArray[np.uint8]]:
    """A bright square that wanders over a fixed background."""
    blocks = np.random.default_rng(seed).integers(20, 120, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    background = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    shown = []
    for number in range(num_frames):
        picture = background.copy()
        left = (3 * number) % (width - 12)
        picture[8:20, left : left + 12] = 230
        shown.append(picture)
    return shown


def write_video(
    path: Path,
    shown: Iterable[NDArray[Any]],
    *,
    fps: int = 10,
    times_s: Sequence[float] | None = None,
    codec: str = "libx264",
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    pixels: str = "rgb24",
    **stream_fields: Any,
) -> Path:
    """Encode ``shown``, of format ``pixels``, at ``fps`` or at the given times, in the container of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = None
        for number, picture in enumerate(shown):
            if stream is None:
                stream = container.add_stream(codec, rate=fps)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = stream_fields.pop("pix_fmt", "yuv420p")
                stream.codec_context.time_base = TIME_BASE
                if rotation:
                    stream.set_display_rotation(rotation)
                for name, value in stream_fields.items():
                    setattr(stream.codec_context, name, value)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=pixels)
            frame.time_base = TIME_BASE
            frame.pts = round((number / fps if times_s is None else times_s[number]) * 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def truncated(path: Path, share: float) -> Path:
    """Cut the file off after ``share`` of its bytes, in place."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def flipped(path: Path, start_share: float, *, num_bytes: int = 64) -> Path:
    """Invert bytes in the middle of the file, in place."""
    content = bytearray(path.read_bytes())
    start = int(len(content) * start_share)
    content[start : start + num_bytes] = bytes(255 - byte for byte in content[start : start + num_bytes])
    path.write_bytes(content)
    return path
