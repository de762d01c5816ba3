import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tasks.statistics.average_precision import (
    average_precisions,
    map_interval,
    mean_average_precision,
)

SAMPLING = {"resamples": 200, "confidence": 0.95, "seed": 0}


def world(rng: np.random.Generator, num_sources: int, clips: int = 12):
    """Scores of two labels that are better on some sources than on others."""
    source_N = np.repeat(np.arange(num_sources), clips)
    wanted_NK = rng.random((len(source_N), 2)) < [0.5, 0.25]
    shift_N1 = rng.normal(0.0, 0.5, num_sources)[source_N, None]
    score_NK = (1.2 + shift_N1) * wanted_NK + rng.normal(0.0, 1.0, wanted_NK.shape)
    return score_NK, wanted_NK, source_N


@pytest.mark.parametrize("digits", [0, 1, 8])
def test_it_is_sklearns_also_where_scores_are_equal(digits: int):
    rng = np.random.default_rng(digits)
    score_NK, wanted_NK = rng.normal(size=(300, 4)).round(digits), rng.random((300, 4)) < [0.5, 0.1, 0.02, 0.9]
    expected = [average_precision_score(wanted_NK[:, at], score_NK[:, at]) for at in range(4)]
    assert average_precisions(score_NK, wanted_NK) == pytest.approx(expected)
    assert mean_average_precision(score_NK, wanted_NK) == pytest.approx(np.mean(expected))


def test_by_hand():
    # By falling score: yes, no, yes, yes, no. Precision at each yes: 1, 2/3, 3/4.
    score_N1 = np.array([[0.9], [0.8], [0.7], [0.6], [0.5]])
    wanted_N1 = np.array([[True], [False], [True], [True], [False]])
    assert average_precisions(score_N1, wanted_N1) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_a_label_that_no_clip_has_is_left_out():
    score_NK = np.array([[0.9, 0.1], [0.1, 0.9]])
    wanted_NK = np.array([[True, False], [False, False]])
    assert np.isnan(average_precisions(score_NK, wanted_NK)[1])
    assert mean_average_precision(score_NK, wanted_NK) == 1.0
    assert np.isnan(mean_average_precision(score_NK, ~np.ones((2, 2), bool)))
    with pytest.raises(ValueError, match="nothing to rank"):
        map_interval(score_NK, ~np.ones((2, 2), bool), ["a", "b"], **SAMPLING)


def test_new_sources_fall_into_the_interval_about_as_often_as_promised():
    rng = np.random.default_rng(1)
    truth = mean_average_precision(*world(rng, 4000)[:2])
    intervals = [map_interval(*world(rng, 12), **SAMPLING) for _ in range(60)]
    held = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert held > 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(intervals))


def test_what_makes_clips_hard_for_both_drops_out_of_a_difference():
    score_NK, wanted_NK, source_N = world(np.random.default_rng(2), 10)
    worse_NK = score_NK + np.random.default_rng(3).normal(0.0, 0.3, score_NK.shape)
    whole = map_interval(score_NK, wanted_NK, source_N, **SAMPLING)
    gain = map_interval(score_NK, wanted_NK, source_N, minus_NK=worse_NK, **SAMPLING)
    assert gain.low <= gain.estimate <= gain.high
    assert gain.high - gain.low < whole.high - whole.low
    same = map_interval(score_NK, wanted_NK, source_N, minus_NK=score_NK, **SAMPLING)
    assert (same.low, same.estimate, same.high) == (0.0, 0.0, 0.0)


def test_one_source_says_nothing_of_others():
    score_NK, wanted_NK, _ = world(np.random.default_rng(4), 1)
    interval = map_interval(score_NK, wanted_NK, ["cam"] * len(score_NK), **SAMPLING)
    assert (interval.low, interval.high) == (0.0, 1.0)
