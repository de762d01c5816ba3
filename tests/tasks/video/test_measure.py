from itertools import pairwise

import numpy as np

from tasks.video.measure import Light


def test_stored_numbers_of_light_are_numpys() -> None:
    rng = np.random.default_rng(0)
    frames = [np.ascontiguousarray(rng.integers(0, high, (34, 46), dtype=np.uint8)) for high in (9, 90, 256, 256)]
    light = Light()
    for frame in frames:
        light.add(frame)
    signed = [frame.astype(np.int16) for frame in frames]
    laplacians = [
        luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1] for luma in signed
    ]
    assert light.brightness == np.mean([frame.mean() for frame in frames])
    assert light.contrast == np.mean([frame.std() for frame in frames])
    assert light.sharpness == np.mean([laplacian.var() for laplacian in laplacians])
    assert light.motion == np.mean([np.abs(b - a).mean() for a, b in pairwise(signed)])
