import numpy as np

from tasks.statistics.holm import holm


def test_each_is_weighed_by_how_many_remain():
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == [0.06, 0.03, 0.06]
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_any_false_rejection_keeps_its_level():
    rng = np.random.default_rng(0)
    rejected = np.mean([(holm(rng.random(8)) <= 0.05).any() for _ in range(3000)])
    assert 0.035 < rejected < 0.065
