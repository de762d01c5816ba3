import numpy as np
import pytest
from scipy.special import softmax

from models.errors import UserError
from tasks.statistics.bbsd import bbsd
from tasks.statistics.kolmogorov_smirnov import ColumnTests
from tasks.statistics.outcome import Abstained
from tests.support.worlds import clips_of, most_at_5_percent


def answers(rng: np.random.Generator, num_sources: int, shift: tuple[float, ...] = (0, 0, 0, 0)):
    logit_NK, source_N = clips_of(rng, [8] * num_sources, 0.4, num_features=4)
    return softmax(logit_NK + np.array(shift), axis=1), source_N


def test_a_quiet_world_raises_few_alarms():
    alarms = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        tests = bbsd(*answers(rng, 24), *answers(rng, 10), permutations=100, seed=seed)
        assert isinstance(tests, ColumnTests)
        alarms.append(tests.p_value <= 0.05)
    assert np.mean(alarms) <= most_at_5_percent(200)


def test_a_class_that_is_seen_more_often_is_found_and_named():
    rng = np.random.default_rng(0)
    tests = bbsd(*answers(rng, 30), *answers(rng, 30, (0, 0, 1.5, 0)))
    assert isinstance(tests, ColumnTests)
    assert tests.p_value < 0.05
    assert tests.distance_K.argmax() == 2
    assert tests.adjusted_K[2] == tests.p_value


def test_the_distance_is_that_of_scipy_where_units_are_clips():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    reference_NK, window_NK = rng.random((600, 2)), rng.random((600, 2)) ** 2
    tests = bbsd(reference_NK, np.arange(600), window_NK, np.arange(600))
    assert isinstance(tests, ColumnTests)
    expected = [ks_2samp(reference_NK[:, k], window_NK[:, k]).statistic for k in range(2)]
    assert tests.distance_K == pytest.approx(expected, abs=1 / 32)


def test_what_cannot_be_said_is_not_said_and_mistakes_are_named():
    probability_NK, source_N = answers(np.random.default_rng(0), 8)
    same = np.full_like(probability_NK, 0.25)
    assert isinstance(bbsd(same, source_N, same, source_N), Abstained)
    assert isinstance(bbsd(probability_NK, source_N, probability_NK[:0], source_N[:0]), Abstained)
    with pytest.raises(UserError, match="softmax"):
        bbsd(probability_NK, source_N, probability_NK[:, :3], source_N)
