import numpy as np
import pytest

from tasks.twins.kept import joined
from tasks.twins.pairs import near_copies
from tasks.twins.prints import EMPTY, STEP_S, Print, print_of
from tests.support.scenes import FPS, film, stored, times_s


def made(frames, **how):
    return print_of(stored(frames, **how), times_s(len(frames)))


def found(*prints, distance=12.0):
    return near_copies(joined(prints), distance)


def drawn(rng, num_words=13):
    words = rng.integers(0, 2**64, num_words, dtype=np.uint64)
    return Print(words, words, np.ones(num_words, np.bool_))


def worn(rng, clip, start=0):
    """A copy without the first ``start`` words, with one bit in sixteen turned."""
    motion_W = clip.motion_W[start:]
    return Print(
        motion_W ^ np.bitwise_and.reduce(rng.integers(0, 2**64, (4, len(motion_W)), dtype=np.uint64)),
        clip.still_W[start:],
        clip.moves_W[start:],
    )


def test_clips_of_fixed_cameras_are_no_copies():
    assert found(*(made(film(camera, 10 * camera + number)) for camera in range(3) for number in range(6))).empty


def test_the_same_motion_before_another_background_is_no_copy():
    assert found(made(film(0, 0)), made(film(1, 0))).empty


@pytest.mark.parametrize(("start", "end"), [(FPS, None), (None, -FPS), (5, None)])
def test_a_trimmed_copy_is_found_and_where_it_begins(start, end):
    whole = film(0, 0)
    pairs = found(made(film(0, 1)), made(whole), made(whole[start:end], quality=50, side=32))
    assert pairs[["first", "second"]].to_numpy().tolist() == [[1, 2]]
    assert pairs["shift_s"][0] == pytest.approx((start or 0) / FPS, abs=STEP_S / 2)


def test_clips_in_which_nothing_moves_are_no_copies():
    frames = np.repeat(film(0, 0)[:1], 2 * FPS, 0)
    assert found(made(frames), made(frames)).empty


def test_without_words_there_is_nothing_to_compare():
    assert found().empty
    assert found(EMPTY, EMPTY).empty


def test_copies_among_many_are_found_and_nothing_else():
    rng = np.random.default_rng(0)
    clips = [drawn(rng) for _ in range(3_000)]
    copied = {at: len(clips) + number for number, at in enumerate(range(0, 3_000, 30))}
    pairs = found(*clips, *(worn(rng, clips[at], start=at % 5) for at in copied))
    assert dict(zip(pairs["first"], pairs["second"], strict=True)) == copied
    shifts = dict(zip(pairs["first"], pairs["shift_s"] / STEP_S, strict=True))
    assert shifts == {at: at % 5 for at in copied}


def test_the_order_of_clips_does_not_matter():
    rng = np.random.default_rng(1)
    clips = [drawn(rng) for _ in range(50)]
    clips += [worn(rng, clip, start=2) for clip in clips[:10]]
    forth, back = found(*clips), found(*reversed(clips))
    turned = {(59 - b, 59 - a, -shift) for a, b, shift in back[["first", "second", "shift_s"]].to_numpy()}
    assert {tuple(row) for row in forth[["first", "second", "shift_s"]].to_numpy()} == turned


def test_a_clip_that_is_there_a_thousand_times_costs_no_million_comparisons():
    one = drawn(np.random.default_rng(0))
    pairs = found(*[one] * 1_000)
    assert set(pairs["first"]) | set(pairs["second"]) == set(range(1_000))
    assert len(pairs) < 40_000


def test_copies_have_to_share_half_of_what_moves():
    rng = np.random.default_rng(0)
    whole = drawn(rng, 40)
    other = drawn(rng, 30)
    mixed = Print(*(np.concatenate([whole_W[:10], other_W]) for whole_W, other_W in zip(
        vars(whole).values(), vars(other).values(), strict=True)))  # fmt: skip
    assert found(whole, mixed).empty
    assert len(found(whole, worn(rng, whole, start=25))) == 1
