import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clips.sampling import CENTRE, ClipInput, frame_indices, spread_views, windowed_order


def takes(num_frames: int, span_s: float | None) -> ClipInput:
    return ClipInput(num_frames, span_s, size=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def even(num_frames: int, fps: float = 10.0) -> np.ndarray:
    return np.arange(num_frames) / fps


def test_a_window_is_centred() -> None:
    assert frame_indices(even(21), takes(5, 0.8)).tolist() == [6, 8, 10, 12, 14]


def test_without_a_span_the_whole_clip_is_seen() -> None:
    assert frame_indices(even(21), takes(5, None)).tolist() == [0, 5, 10, 15, 20]


def test_frames_are_chosen_by_time_and_not_by_number() -> None:
    times_s = np.array([0.0, 0.01, 0.02, 0.03, 0.5, 1.0])
    assert frame_indices(times_s, takes(3, None)).tolist() == [0, 4, 5]


def test_a_clip_that_is_too_short_repeats_its_last_frame() -> None:
    assert frame_indices(even(4), takes(6, 0.5)).tolist() == [0, 1, 2, 3, 3, 3]
    assert frame_indices(even(1), takes(3, None)).tolist() == [0, 0, 0]


def test_jitter_moves_and_stretches_the_window_within_its_share() -> None:
    times_s, rng = even(1001, fps=100.0), np.random.default_rng(0)
    windows_s = np.array([times_s[frame_indices(times_s, takes(2, 2.0), 0.25, rng)] for _ in range(500)])
    lengths_s, starts_s = windows_s[:, 1] - windows_s[:, 0], windows_s[:, 0]
    assert lengths_s.min() == pytest.approx(1.5, abs=0.05)
    assert lengths_s.max() == pytest.approx(2.5, abs=0.05)
    # Half of the slack of 8 seconds or so, around the middle.
    assert 1.8 < starts_s.min() < 2.4
    assert 5.6 < starts_s.max() < 6.5


def test_the_same_seed_gives_the_same_frames() -> None:
    first, again = (frame_indices(even(50), takes(8, 2.0), 0.5, np.random.default_rng(3)) for _ in range(2))
    assert first.tolist() == again.tolist()


@given(
    num_stored=st.integers(1, 60),
    num_frames=st.integers(1, 40),
    span_s=st.none() | st.floats(0.01, 20.0),
    jitter=st.floats(0.0, 1.0),
    seed=st.integers(0, 9),
)
def test_indices_exist_and_never_go_back(
    num_stored: int, num_frames: int, span_s: float | None, jitter: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(rng.uniform(0.01, 0.5, num_stored))
    indices = frame_indices(times_s, takes(num_frames, span_s), jitter, rng)
    assert indices.shape == (num_frames,)
    assert (np.diff(indices) >= 0).all()
    assert indices.min() >= 0
    assert indices.max() < num_stored


def test_views_are_spread_from_edge_to_edge_and_one_is_the_centre() -> None:
    assert spread_views(1, 1) == [CENTRE]
    views = spread_views(3, 2)
    assert sorted({view.along for view in views}) == [0.0, 0.5, 1.0]
    assert sorted({view.across for view in views}) == [0.0, 1.0]
    assert len(set(views)) == 6


def test_a_view_says_where_the_window_lies() -> None:
    windows = [frame_indices(even(21), takes(3, 0.4), along=along).tolist() for along in (0.0, 0.5, 1.0)]
    assert windows == [[0, 2, 4], [8, 10, 12], [16, 18, 20]]


def test_views_of_the_whole_clip_take_the_frames_in_between() -> None:
    windows = [frame_indices(even(21), takes(3, None), along=along).tolist() for along in (0.0, 0.5, 1.0)]
    assert windows == [[0, 5, 15], [0, 10, 20], [5, 15, 20]]


class TestWindowedOrder:
    SHARDS = tuple(name for name in "abcdefg" for _ in range(5))

    @pytest.mark.parametrize("window", [1, 2, 3, 100])
    def test_each_clip_once_and_few_shards_at_a_time(self, window: int) -> None:
        order = windowed_order(self.SHARDS, window, np.random.default_rng(0))
        assert sorted(order.tolist()) == list(range(35))
        turns = [self.SHARDS[index] for index in order]
        for start in range(0, 35, 5 * window):
            assert len(set(turns[start : start + 5 * window])) <= window

    def test_shards_and_clips_are_shuffled_and_an_epoch_keeps_its_order(self) -> None:
        orders = [windowed_order(self.SHARDS, 2, np.random.default_rng(seed)).tolist() for seed in (0, 1, 0)]
        assert orders[0] == orders[2] != orders[1]
        assert orders[0] != sorted(orders[0])
