import numpy as np
import pytest

from models.errors import UserError
from tasks.statistics.source_days import Projection, fit_projection, source_days
from tests.support.worlds import clips_of


@pytest.fixture(scope="module")
def projection() -> Projection:
    return fit_projection(*clips_of(np.random.default_rng(0), [8] * 60, 0.2), clips_per_unit=4, num_components=6)


def vectors(projection: Projection, embedding_ND: np.ndarray, source_N: np.ndarray) -> np.ndarray:
    units, _ = source_days(projection, embedding_ND, source_N, np.full(len(source_N), "2026-11-05"))
    return np.array([unit.vector for unit in units])


def test_new_sources_have_numbers_of_mean_0_and_spread_1(projection: Projection):
    vector_UV = vectors(projection, *clips_of(np.random.default_rng(1), [8] * 300, 0.2))
    assert vector_UV.shape == (300, 8)
    # Components have more energy where they were fitted than anywhere else, so the last two are not quite 0.
    assert vector_UV.mean(0) == pytest.approx(np.zeros(8), abs=0.7)
    assert vector_UV.std(0) == pytest.approx(np.ones(8), abs=0.35)


def test_change_of_place_spread_and_what_components_do_not_span_all_show(projection: Projection):
    rng = np.random.default_rng(2)
    embedding_ND, source_N = clips_of(rng, [8] * 40, 0.2)
    inside_D = projection.component_DC[:, 0]
    outside_D = np.linalg.svd(projection.component_DC.T)[2][-1]
    usual_V = vectors(projection, embedding_ND, source_N).mean(0)
    assert abs(vectors(projection, embedding_ND + 2 * inside_D, source_N).mean(0) - usual_V)[0] > 2
    assert vectors(projection, embedding_ND + 3 * outside_D, source_N).mean(0)[-1] - usual_V[-1] > 2
    louder_V = vectors(projection, embedding_ND * 1.5, source_N).mean(0) - usual_V
    assert louder_V[-2:].min() > 1


def test_each_source_day_gives_equally_many_clips_and_small_ones_are_set_aside(projection: Projection):
    embedding_ND, _ = clips_of(np.random.default_rng(3), [13], 0.2)
    sources, days = ["a"] * 6 + ["b"] * 7, ["2"] * 3 + ["1"] * 3 + ["1"] * 7
    units, num_set_aside = source_days(projection, embedding_ND, sources, days)
    assert ([(unit.source, unit.day) for unit in units], num_set_aside) == ([("b", "1")], 2)
    embedding_ND[6:] = embedding_ND[6]
    (again,), _ = source_days(projection, embedding_ND[6:10], ["b"] * 4, ["1"] * 4)
    assert source_days(projection, embedding_ND, sources, days)[0] == [again]


def test_other_source_days_do_not_change_one(projection: Projection):
    embedding_ND, source_N = clips_of(np.random.default_rng(4), [9] * 3, 0.2)
    together, _ = source_days(projection, embedding_ND, source_N, [1] * 27)
    alone, _ = source_days(projection, embedding_ND[9:18], source_N[9:18], [1] * 9)
    assert together[1] == alone[0]


def test_components_that_span_everything_leave_one_number_empty():
    held_out = clips_of(np.random.default_rng(0), [8] * 20, 0.2, num_features=5)
    full = fit_projection(*held_out, clips_per_unit=4)
    assert full.component_DC.shape == (5, 5)
    assert (vectors(full, *held_out)[:, -1] == 0).all()


def test_mistakes_are_named(projection: Projection):
    embedding_ND, source_N = clips_of(np.random.default_rng(0), [8] * 10, 0.2)
    with pytest.raises(UserError, match="another backbone"):
        source_days(projection, embedding_ND[:, 1:], source_N, source_N)
    with pytest.raises(UserError, match="not finite"):
        source_days(projection, embedding_ND * np.nan, source_N, source_N)
    with pytest.raises(UserError, match="fewer than 5 sources"):
        fit_projection(embedding_ND[:32], source_N[:32], clips_per_unit=4)
    with pytest.raises(UserError, match="same embedding"):
        fit_projection(np.ones_like(embedding_ND), source_N, clips_per_unit=4)
    with pytest.raises(UserError, match="have 9 clips; lower"):
        fit_projection(embedding_ND, source_N, clips_per_unit=9)
    assert source_days(projection, embedding_ND[:0], [], []) == ([], 0)
