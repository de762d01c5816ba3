import numpy as np
import pytest

from models.errors import UserError
from tasks.statistics.diagnostics import Moved, diagnose, frechet_distance
from tasks.statistics.outcome import Abstained
from tests.support.worlds import clips_of


def test_clips_that_moved_come_first():
    rng = np.random.default_rng(0)
    window_ND, window_N = clips_of(rng, [10] * 10, 0.2)
    window_ND[window_N < 3] += 2.0
    moved = diagnose(*clips_of(rng, [10] * 20, 0.2), window_ND, window_N + 100)
    assert isinstance(moved, Moved)
    assert np.isin(moved.order_N[:30], np.flatnonzero(window_N < 3)).mean() > 0.9
    assert sorted(moved.order_N) == list(range(100))


def test_what_components_do_not_span_shows_in_reconstruction():
    rng = np.random.default_rng(0)
    scale_D = np.array([1.0] * 4 + [0.01] * 12)
    reference, (window_ND, window_N) = clips_of(rng, [8] * 20, 0.2), clips_of(rng, [8] * 8, 0.2)
    window_ND = window_ND * scale_D
    window_ND[:8, 10] += 1.0
    moved = diagnose(reference[0] * scale_D, reference[1], window_ND, window_N + 100)
    assert isinstance(moved, Moved)
    assert moved.reconstruction_N[:8].min() > 3 * moved.reconstruction_N[8:].max()


def test_the_classifier_is_scored_on_sources_that_it_did_not_see():
    """With sources unlike each other any classifier tells clips apart that it was shown sources of."""
    aucs = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        window_ND, window_N = clips_of(rng, [20] * 12, 0.8, num_features=64)
        moved = diagnose(*clips_of(rng, [20] * 12, 0.8, num_features=64), window_ND, window_N + 100, seed=seed)
        assert isinstance(moved, Moved)
        aucs.append(moved.domain_auc)
    assert 0.35 < np.mean(aucs) < 0.65


def test_the_distance_is_that_of_gaussians():
    rng = np.random.default_rng(0)
    a_ND, b_ND = rng.standard_normal((20_000, 2)), rng.standard_normal((20_000, 2)) * (1.0, 3.0) + (2.0, 0.0)
    assert frechet_distance(a_ND, b_ND) == pytest.approx(2.0**2 + (3.0 - 1.0) ** 2, rel=0.05)
    assert frechet_distance(a_ND, a_ND) == pytest.approx(0.0, abs=1e-6)


def test_stills_one_source_and_nothing_do_not_crash():
    still_ND, source_N = np.ones((20, 4)), np.repeat(np.arange(4), 5)
    moved = diagnose(still_ND, source_N, still_ND, source_N)
    assert isinstance(moved, Moved)
    assert moved.frechet_distance == 0.0
    assert isinstance(diagnose(still_ND, source_N, still_ND, source_N * 0), Abstained)
    assert isinstance(diagnose(still_ND, source_N, still_ND[:0], source_N[:0]), Abstained)
    with pytest.raises(UserError, match="not finite"):
        diagnose(still_ND, source_N, still_ND * np.nan, source_N)
