"""Synthetic video for measurements and nothing else: a scene that a camera pans over."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image


def write_video(
    path: Path,
    width: int,
    height: int,
    fps: int,
    duration_s: float,
    *,
    seed: int,
    noise_sd: float = 5.0,
    options: dict[str, str] | None = None,
) -> None:
    """Write an H.264 file with the encoder's usual settings or other ``options``; a seed gives the same pictures."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 16 + 2, width // 8 + 2, 3), dtype=np.uint8)
    scene = np.asarray(Image.fromarray(coarse).resize((2 * width, height), Image.Resampling.BICUBIC))
    # A sensor's noise is new in every frame: without it a pan costs the codec nothing.
    noise = rng.normal(0.0, noise_sd, (4 * height, width, 1)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(round(duration_s * fps)):
            left = number * 2 % width
            top = int(rng.integers(3 * height))
            noisy = scene[:, left : left + width] + noise[top : top + height]
            picture = noisy.clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def only_decode(path: Path) -> int:
    """Decode a file with PyAV on one thread and do nothing else; how many frames it has."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))
