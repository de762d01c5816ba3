import numpy as np
import pytest

from models.errors import UserError
from tasks.statistics.mmd import Discrepancy, mmd_fuse
from tasks.statistics.outcome import Abstained
from tests.support.worlds import clips_of, most_at_5_percent

REPETITIONS = 120


def p_value(seed: int, reference_sizes: list[int], window_sizes: list[int], scale: float = 1.0, **window) -> float:
    rng = np.random.default_rng(seed)
    correlation = window.pop("correlation", 0.3)
    reference = clips_of(rng, reference_sizes, correlation)
    embedding_ND, source_N = clips_of(rng, window_sizes, correlation, **window)
    answer = mmd_fuse(*reference, embedding_ND * scale, source_N, permutations=60, seed=seed)
    assert isinstance(answer, Discrepancy)
    return answer.p_value


@pytest.mark.parametrize(
    ("reference_sizes", "window_sizes"),
    [([8] * 30, [8] * 12), ([30] * 30, [4] * 10), ([1, 2, 4, 60] * 8, [1, 2, 4, 60] * 3)],
    ids=["alike", "small units in the window", "unequal sources"],
)
def test_a_quiet_world_raises_few_alarms(reference_sizes: list[int], window_sizes: list[int]):
    alarms = [p_value(seed, reference_sizes, window_sizes) <= 0.05 for seed in range(REPETITIONS)]
    assert np.mean(alarms) <= most_at_5_percent(REPETITIONS)


@pytest.mark.parametrize("change", [{"shift": 0.5}, {"scale": 1.6}], ids=str)
def test_a_changed_world_is_found(change: dict[str, float]):
    assert np.mean([p_value(seed, [8] * 30, [8] * 15, **change) <= 0.05 for seed in range(20)]) > 0.9


def test_more_sources_find_smaller_changes():
    few, many = (
        np.mean([p_value(seed, [8] * count, [8] * count, shift=0.25) <= 0.05 for seed in range(30)])
        for count in (6, 40)
    )
    assert many > few + 0.3


def test_features_of_any_scale_count_the_same_and_constant_ones_nothing():
    rng = np.random.default_rng(0)
    (reference_ND, reference_N), (window_ND, window_N) = (clips_of(rng, [6] * 20, 0.1, shift=s) for s in (0.0, 0.3))
    scale_D = np.geomspace(1e-3, 1e3, reference_ND.shape[1]).astype(np.float32)

    def stretched(embedding_ND: np.ndarray) -> np.ndarray:
        return np.column_stack((embedding_ND * scale_D + 5.0, np.full(len(embedding_ND), 0.1)))

    plain = mmd_fuse(reference_ND, reference_N, window_ND, window_N)
    found = mmd_fuse(stretched(reference_ND), reference_N, stretched(window_ND), window_N)
    assert isinstance(plain, Discrepancy)
    assert isinstance(found, Discrepancy)
    assert plain.p_value < 0.01
    assert found.p_value < 0.01


def test_the_same_seed_gives_the_same_answer():
    world = (*clips_of(np.random.default_rng(0), [5] * 9, 0.3), *clips_of(np.random.default_rng(1), [5] * 8, 0.3))
    assert mmd_fuse(*world, seed=3) == mmd_fuse(*world, seed=3)


def test_what_cannot_be_said_is_not_said():
    embedding_ND, source_N = clips_of(np.random.default_rng(0), [4] * 8, 0.3)
    still = np.ones_like(embedding_ND)
    for window, sources, said in (
        (embedding_ND[:0], source_N[:0], "the window has no clips"),
        (embedding_ND, np.zeros(len(embedding_ND)), "1 sources"),
    ):
        answer = mmd_fuse(embedding_ND, source_N, window, sources)
        assert isinstance(answer, Abstained)
        assert said in answer.reason
    answer = mmd_fuse(still, source_N, still, source_N)
    assert isinstance(answer, Abstained)
    assert "same embedding" in answer.reason


def test_a_window_of_stills_is_a_change_and_no_crash():
    embedding_ND, source_N = clips_of(np.random.default_rng(0), [4] * 12, 0.3)
    answer = mmd_fuse(embedding_ND, source_N, np.ones_like(embedding_ND), source_N)
    assert isinstance(answer, Discrepancy)
    assert answer.p_value < 0.05


def test_broken_embeddings_are_refused_with_a_remedy():
    embedding_ND, source_N = clips_of(np.random.default_rng(0), [4] * 8, 0.3)
    broken = embedding_ND.copy()
    broken[3, 2], broken[9, 0] = np.nan, np.inf
    with pytest.raises(UserError, match="embedding of the window: 2 of 32 clips have values that are not finite; make"):
        mmd_fuse(embedding_ND, source_N, broken, source_N)
    with pytest.raises(UserError, match="another model made it: make the reference anew"):
        mmd_fuse(embedding_ND, source_N, embedding_ND[:, :-1], source_N)
