"""Clips of a fixed camera as stored frames: soft blobs that wander over a background that stands still."""

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

FPS = 12

Film = NDArray[np.float64]


def film(camera: int, motion: int, num_frames: int = 2 * FPS, side: int = 64) -> Film:
    """Luma, shape (frames, side, side); clips of one ``camera`` share the background."""
    blocks = np.random.default_rng([camera, 0]).uniform(20, 120, (8, 8)).repeat(side // 8, 0).repeat(side // 8, 1)
    rng = np.random.default_rng([motion, 1])
    y, x = np.mgrid[:side, :side] / side
    frames = np.repeat(blocks[None], num_frames, 0)
    for _ in range(3):
        pace, phase = rng.uniform(2.0, 6.0, 2), rng.uniform(0.0, 6.3, 2)
        way = 0.5 + 0.4 * np.sin(pace * np.arange(num_frames)[:, None] / FPS + phase)
        for frame, (top, left) in zip(frames, way, strict=True):
            frame += 40 * np.exp(-((y - top) ** 2 + (x - left) ** 2) / 0.02)
    return frames


def stored(frames: Film, *, quality: int = 90, side: int | None = None) -> list[bytes]:
    """The frames as shards hold them, at another size if ``side`` says so."""
    pictures = [Image.fromarray(frame.clip(0, 255).astype(np.uint8)) for frame in frames]
    if side:
        pictures = [picture.resize((side, side)) for picture in pictures]
    return [simplejpeg.encode_jpeg(np.asarray(picture.convert("RGB")), quality=quality) for picture in pictures]


def times_s(num_frames: int, fps: float = FPS) -> NDArray[np.float64]:
    """Presentation times."""
    return np.arange(num_frames) / fps
