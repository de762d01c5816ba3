from dataclasses import replace

import numpy as np

from infra.demo.lens import develop
from infra.demo.scene import Light

CLEAR = Light(direction=(0.0, 1.0, 0.0), rgb=(1.0, 1.0, 1.0))


def developed(light, grey=0.5, depth_m=5.0, size=(24, 24)):
    rgb_THW3 = np.full((2, *size, 3), grey, np.float32)
    return develop(rgb_THW3, np.full((2, *size), depth_m, np.float32), light, np.random.default_rng(0)).astype(int)


def test_a_clear_lens_changes_nothing():
    assert (developed(CLEAR) == 128).all()


def test_too_much_light_is_white():
    assert (developed(replace(CLEAR, rgb=(3.0, 1.0, 1.0)))[..., 0] == 255).all()


def test_haze_hides_the_far_more_than_the_near():
    fog = replace(CLEAR, haze=0.5, haze_rgb=(1.0, 1.0, 1.0))
    near, far = (developed(fog, grey=0.0, depth_m=depth_m).mean() for depth_m in (1.0, 5.0))
    assert near < 40
    assert abs(far - 128) < 2  # half of the light at 5 m


def test_corners_darken():
    frame = developed(replace(CLEAR, vignette=0.5))[0, :, :, 0]
    assert frame[0, 0] == 64
    assert frame[12, 12] > 125


def test_noise_differs_from_frame_to_frame_and_not_from_run_to_run():
    noisy = replace(CLEAR, noise=0.05)
    first, second = developed(noisy)
    assert 8 < np.std(first) < 17
    assert (first != second).mean() > 0.5
    np.testing.assert_array_equal(developed(noisy)[0], first)


def test_blur_spreads_a_point_and_keeps_its_light():
    rgb_THW3 = np.zeros((1, 25, 25, 3), np.float32)
    rgb_THW3[0, 12, 12] = 20.0
    depth_THW = np.ones((1, 25, 25), np.float32)
    frame = develop(rgb_THW3, depth_THW, replace(CLEAR, blur=0.08), np.random.default_rng(0))[0, :, :, 0].astype(int)
    assert abs(frame.sum() / (20 * 255) - 1) < 0.1
    assert frame[12, 14] > frame[12, 15] > 0
    np.testing.assert_array_equal(frame, frame.T)
