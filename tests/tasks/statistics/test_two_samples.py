import numpy as np
import pytest

from tasks.statistics.two_samples import source_weights


def test_sources_on_both_sides_are_drawn_together_and_others_apart():
    reference_RS, window_RS = source_weights([1, 2, 3, 7, 8], [9, 3, 2, 1], resamples=500, seed=0)
    assert (reference_RS[:, :3] == window_RS[:, :3]).all()
    assert (window_RS[:, 3] == 1).all()
    assert not (reference_RS[:, 3] == reference_RS[:, 4]).all()


def test_the_variance_of_a_mean_is_that_over_new_sources():
    value_S = np.random.default_rng(0).standard_normal(6)
    weight_RS, _ = source_weights(range(6), [], resamples=20_000, seed=0)
    assert (weight_RS @ value_S / weight_RS.sum(1)).var() == pytest.approx(value_S.var(ddof=1) / 6, rel=0.05)
