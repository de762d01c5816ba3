"""From light to the pixels of a file: haze, blur, vignette, noise.

Shapes: T moments, H rows, W columns, K weights.
"""

import math

import numpy as np

from infra.demo.arrays import Array, Frames, array
from infra.demo.scene import Light

_HAZE_DISTANCE_M = 5.0
_GRAIN_SPARE = 1 << 16


def develop(rgb_THW3: Array, depth_THW: Array, light: Light, rng: np.random.Generator) -> Frames:
    """Frames (T, H, W, 3), uint8, RGB, of surfaces with colours from 0 to 1 at depths in metres.

    Args:
        rgb_THW3: The surfaces' colours in white light; overwritten.
        depth_THW: How far away they are.
        light: Its colour, and what air, lens and sensor do.
        rng: Of the noise.
    """
    frames_THW3 = np.empty(rgb_THW3.shape, np.uint8)
    height, width = depth_THW.shape[1:]
    gain_HW3 = 255 * _vignette(height, width, light.vignette)[..., None] * array(light.rgb)
    haze_3 = array(light.haze_rgb) / array(light.rgb)
    # One field of grain, read from another place in each frame: noise that is new each time costs more than the scene.
    grain = 255 * light.noise * rng.standard_normal(height * width * 3 + _GRAIN_SPARE, dtype=np.float32)
    starts_T = rng.integers(_GRAIN_SPARE, size=len(rgb_THW3))
    for frame_HW3, rgb_HW3, depth_HW, start in zip(frames_THW3, rgb_THW3, depth_THW, starts_T, strict=True):
        if light.haze:
            clear_HW = np.exp(math.log1p(-light.haze) / _HAZE_DISTANCE_M * depth_HW)
            rgb_HW3 = haze_3 + clear_HW[..., None] * (rgb_HW3 - haze_3)
        if light.blur:
            rgb_HW3 = _blurred(rgb_HW3, light.blur * height)
        rgb_HW3 *= gain_HW3
        rgb_HW3 += grain[start : start + rgb_HW3.size].reshape(rgb_HW3.shape)
        rgb_HW3 += 0.5
        frame_HW3[:] = np.clip(rgb_HW3, 0, 255, out=rgb_HW3)
    return frames_THW3


def _vignette(height: int, width: int, strength: float) -> Array:
    down_H1 = array(np.linspace(-1, 1, height))[:, None]
    across_W = array(np.linspace(-1, 1, width))
    return 1 - strength / 2 * (down_H1**2 + across_W**2)


def _blurred(rgb_HW3: Array, radius: float) -> Array:
    reach = int(np.ceil(2 * radius))
    weight_K = array(np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2))
    weight_K /= weight_K.sum()
    for axis in (0, 1):
        margins = [(reach, reach) if other == axis else (0, 0) for other in range(3)]
        padded = np.pad(rgb_HW3, margins, mode="edge")
        rgb_HW3 = np.zeros_like(rgb_HW3)
        for shift, weight in enumerate(weight_K):
            rgb_HW3 += weight * np.moveaxis(np.moveaxis(padded, axis, 0)[shift : shift + rgb_HW3.shape[axis]], 0, axis)
    return rgb_HW3
