import numpy as np
import pytest

from tasks.twins.prints import print_of
from tests.support.scenes import FPS, film, stored, times_s


def made(frames, fps=FPS, **how):
    return print_of(stored(frames, **how), times_s(len(frames), fps))


def distance(one, other):
    return float(np.bitwise_count(one.motion_W ^ other.motion_W).mean())


@pytest.mark.parametrize(
    ("frames", "fps", "how"),
    [
        (film(0, 0, 48), 2 * FPS, {"quality": 20}),
        (film(0, 0, 48), 2 * FPS, {"side": 32}),
        (1.2 * film(0, 0, 48) + 10, 2 * FPS, {}),
        (film(0, 0, 48)[::2], FPS, {}),
    ],
    ids=["coarse", "half the size", "brighter", "half the frame rate"],
)
def test_a_copy_has_nearly_the_same_words(frames, fps, how):
    original, copy = made(film(0, 0, 48), 2 * FPS), made(frames, fps, **how)
    num_words = min(len(original.motion_W), len(copy.motion_W))
    assert num_words >= 11
    assert np.bitwise_count(original.motion_W[:num_words] ^ copy.motion_W[:num_words]).mean() < 10


def test_clips_of_one_camera_are_as_far_apart_as_any():
    clips = [made(film(0, motion)) for motion in range(6)]
    apart = [distance(clips[a], clips[b]) for a in range(6) for b in range(a)]
    assert min(apart) > 20
    assert np.bitwise_count(clips[0].still_W ^ clips[1].still_W).mean() < 16


def test_frames_at_uneven_times_give_the_words_of_even_ones():
    frames = film(0, 0, 4 * FPS)
    kept = np.sort(np.random.default_rng(0).choice(len(frames), len(frames) * 3 // 4, replace=False))
    kept[[0, -1]] = 0, len(frames) - 1
    uneven = print_of(stored(frames[kept]), times_s(len(frames))[kept])
    assert distance(made(frames), uneven) < 12


def test_what_stands_still_says_nothing():
    frames = np.repeat(film(0, 0)[:1], 2 * FPS, 0)
    assert not made(frames, quality=60).moves_W.any()


@pytest.mark.parametrize("num_frames", [1, 2, 6])
def test_less_than_half_a_second_has_no_words(num_frames):
    assert len(made(film(0, 0)[:num_frames]).motion_W) == 0
