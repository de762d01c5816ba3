import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.statistics.bootstrap import Interval, is_rough, paired_source_bootstrap, source_bootstrap

SAMPLING = {"resamples": 300, "confidence": 0.95, "seed": 0}


def clips_of(rng: np.random.Generator, num_sources: int, accuracy: float, correlation: float):
    """Right or wrong by clip, from sources whose own accuracy varies (beta-binomial) and that differ in size."""
    scale = (1 - correlation) / correlation
    rate = rng.beta(accuracy * scale, (1 - accuracy) * scale, num_sources)
    source_ids = np.repeat(np.arange(num_sources), 1 + rng.poisson(12, num_sources))
    return (rng.random(len(source_ids)) < rate[source_ids]).astype(float), source_ids


@pytest.mark.parametrize("num_sources", [2, 5, 20])
def test_new_sources_fall_into_the_interval_as_often_as_promised(num_sources: int):
    rng = np.random.default_rng(0)
    worlds = [clips_of(rng, num_sources, 0.85, 0.1) for _ in range(400)]
    intervals = [source_bootstrap(*world, **SAMPLING) for world in worlds]
    held = np.mean([interval.low <= 0.85 <= interval.high for interval in intervals])
    assert held > 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(worlds))


def test_new_sources_and_new_seeds_fall_into_the_interval_as_often_as_promised():
    rng, num_seeds, num_worlds = np.random.default_rng(3), 5, 150
    held = {True: 0, False: 0}
    for _ in range(num_worlds):
        source_ids = np.repeat(np.arange(30), 12)
        rate_N = 0.8 + rng.normal(0, 0.05, 30)[source_ids]
        seed_S1 = rng.normal(0, 0.06, (num_seeds, 1))
        right_SN = rng.random((num_seeds, len(source_ids))) < rate_N + seed_S1
        seeds_error = right_SN.mean(1).std(ddof=1) / np.sqrt(num_seeds)
        for knows_seeds, error in ((True, seeds_error), (False, 0.0)):
            interval = source_bootstrap(right_SN.mean(0), source_ids, **SAMPLING, other_error=error)
            held[knows_seeds] += interval.low <= 0.8 <= interval.high
    assert held[True] / num_worlds > 0.9 > held[False] / num_worlds


def test_differences_of_paired_models_fall_into_the_interval_as_often_as_promised():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(400):
        source_ids = np.repeat(np.arange(6), 1 + rng.poisson(12, 6))
        difficulty = rng.normal(0, 0.1, 6)[source_ids] + rng.normal(0, 0.1, len(source_ids))
        a = rng.random(len(source_ids)) < 0.7 + difficulty
        b = rng.random(len(source_ids)) < 0.6 + difficulty
        interval = paired_source_bootstrap(a, b, source_ids, **SAMPLING)
        held.append(interval.low <= 0.1 <= interval.high)
    assert np.mean(held) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(held))


def test_clips_that_agree_within_their_source_widen_the_interval():
    source_ids = np.repeat(np.arange(20), 10)
    agreeing = source_bootstrap(source_ids % 2, source_ids, **SAMPLING)
    mixed = source_bootstrap(np.arange(200) % 2, source_ids, **SAMPLING)
    assert agreeing.estimate == mixed.estimate == 0.5
    assert agreeing.high - agreeing.low > 2.5 * (mixed.high - mixed.low)


def test_the_interval_leans_to_the_side_where_there_is_room():
    values, source_ids = clips_of(np.random.default_rng(2), 8, 0.95, 0.1)
    interval = source_bootstrap(values, source_ids, **SAMPLING)
    assert interval.estimate - interval.low > interval.high - interval.estimate > 0


def test_one_source_says_nothing_about_others():
    assert source_bootstrap([1.0, 0.0, 1.0, 1.0], ["a"] * 4, **SAMPLING) == Interval(0.75, 0.0, 1.0)
    assert paired_source_bootstrap([1.0, 0.0], [0.0, 0.0], ["a"] * 2, **SAMPLING) == Interval(0.5, -1.0, 1.0)


@pytest.mark.parametrize("num_sources", [2, 10])
def test_all_clips_right_is_no_proof_of_perfection(num_sources: int):
    source_ids = np.repeat(np.arange(num_sources), 5)
    right = source_bootstrap(np.ones(len(source_ids)), source_ids, **SAMPLING)
    wrong = source_bootstrap(np.zeros(len(source_ids)), source_ids, **SAMPLING)
    assert right == Interval(1.0, pytest.approx(0.025 ** (1 / num_sources)), 1.0)
    assert wrong == Interval(0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / num_sources)))


def test_sources_that_agree_by_chance_still_leave_doubt():
    interval = source_bootstrap([1.0, 0.0] * 3, ["a", "a", "b", "b", "c", "c"], **SAMPLING)
    assert interval.low < 0.2
    assert interval.high > 0.8


def test_a_model_does_not_differ_from_itself():
    values, source_ids = clips_of(np.random.default_rng(3), 5, 0.7, 0.1)
    assert paired_source_bootstrap(values, values, source_ids, **SAMPLING) == Interval(0.0, 0.0, 0.0)


def test_pairing_removes_what_both_find_hard():
    rng = np.random.default_rng(4)
    b, source_ids = clips_of(rng, 12, 0.6, 0.3)
    a = np.where(rng.random(len(b)) < 0.1, 1.0, b)
    paired = paired_source_bootstrap(a, b, source_ids, **SAMPLING)
    alone = source_bootstrap(a, source_ids, **SAMPLING)
    assert paired.estimate == pytest.approx(a.mean() - b.mean())
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_more_confidence_widens_the_interval():
    values, source_ids = clips_of(np.random.default_rng(5), 6, 0.7, 0.1)
    widths = []
    for confidence in (0.6, 0.9, 0.99):
        interval = source_bootstrap(values, source_ids, resamples=300, confidence=confidence, seed=0)
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths)


def test_order_of_clips_and_names_of_sources_do_not_matter():
    values, source_ids = clips_of(np.random.default_rng(6), 6, 0.7, 0.1)
    order = np.random.default_rng(7).permutation(len(values))
    named = np.array([f"camera {source}" for source in source_ids])
    expected = source_bootstrap(values, source_ids, **SAMPLING)
    found = source_bootstrap(values[order], named[order], **SAMPLING)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert source_bootstrap(values, source_ids, **SAMPLING) == expected


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0]), st.integers(0, 4)), min_size=1, max_size=30))
def test_the_estimate_lies_in_the_interval_and_the_interval_within_the_bounds(clips):
    values, source_ids = zip(*clips, strict=True)
    interval = source_bootstrap(values, source_ids, resamples=100, confidence=0.95, seed=0)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="0 values"):
        source_bootstrap([], [], **SAMPLING)
    with pytest.raises(ValueError, match="2 values for 1 clips"):
        source_bootstrap([0.0, 1.0], ["a"], **SAMPLING)
    with pytest.raises(ValueError, match="must lie in"):
        source_bootstrap([2.0], ["a"], **SAMPLING)


def test_few_sources_are_rough():
    assert is_rough(["a", "b"] * 50)
    assert not is_rough(range(10))
