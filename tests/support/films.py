"""Small real video files."""

from pathlib import Path

import av
import numpy as np


def write_film(path: Path, *, duration_s: float = 2.0, rate: int = 12, size: tuple[int, int] = (96, 72), seed: int = 0):
    """Write H.264 in the container that the suffix names: a square that wanders over noise of the camera ``seed``."""
    width, height = size
    rng = np.random.default_rng(seed)
    background = rng.integers(0, 120, (height // 8, width // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    num_frames = round(duration_s * rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            picture = background.copy()
            left = round((width - 24) * number / num_frames)
            picture[16:40, left : left + 24] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
