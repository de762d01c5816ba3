import numpy as np
import pytest

from models.errors import UserError
from tasks.statistics.harm import MeasuredDrop, measured_drop
from tasks.statistics.outcome import Abstained


def answered(rng: np.random.Generator, rate_S: np.ndarray, num_clips: int = 10):
    source_N = np.repeat(np.arange(len(rate_S)), num_clips)
    return rng.random(len(source_N)) < rate_S[source_N], source_N


@pytest.mark.parametrize(("num_window", "shared"), [(4, False), (15, False), (12, True)])
def test_the_true_drop_falls_into_the_interval_as_often_as_promised(num_window: int, shared: bool):
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        before_S = rng.beta(8, 2, 12 if shared else 30)
        after_S = before_S * 0.75 if shared else rng.beta(8, 2, num_window) * 0.75
        reference, (window_N, source_N) = answered(rng, before_S), answered(rng, after_S)
        answer = measured_drop(*reference, window_N, source_N if shared else source_N + 100, resamples=200)
        assert isinstance(answer, MeasuredDrop)
        held.append(answer.drop.low <= 0.2 <= answer.drop.high)
    assert np.mean(held) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(held))


def test_pairing_by_source_removes_what_makes_a_source_hard():
    rng = np.random.default_rng(0)
    rate_S = rng.choice([0.2, 1.0], 20)
    reference, (window_N, source_N) = answered(rng, rate_S, 30), answered(rng, rate_S * 0.8, 30)
    paired, unpaired = (measured_drop(*reference, window_N, ids) for ids in (source_N, source_N + 100))
    assert isinstance(paired, MeasuredDrop)
    assert isinstance(unpaired, MeasuredDrop)
    assert (paired.num_shared, unpaired.num_shared) == (20, 0)
    assert paired.drop.estimate == unpaired.drop.estimate == paired.reference_accuracy - paired.window_accuracy
    assert paired.drop.high - paired.drop.low < 0.5 * (unpaired.drop.high - unpaired.drop.low)


def test_weights_undo_a_draw_that_prefers_some_sources():
    """Of a quarter of the sources, on which the champion is worse, half of the labels come."""
    rng = np.random.default_rng(0)
    held, plain, weighted = [], [], []
    for _ in range(300):
        before = answered(rng, np.full(30, 0.9))
        rate_S = np.where(np.arange(24) < 6, 0.5, 0.8)
        rate_S = np.clip(rate_S + rng.normal(0, 0.05, 24), 0, 1)
        source_N = np.concatenate([rng.integers(0, 6, 30), rng.integers(6, 24, 30)])
        window = rng.random(60) < rate_S[source_N], source_N + 100
        weight_N = np.where(source_N < 6, 0.5, 1.5)
        without = measured_drop(*before, *window, resamples=200)
        answer = measured_drop(*before, *window, window_weight_N=weight_N, resamples=200)
        assert isinstance(without, MeasuredDrop)
        assert isinstance(answer, MeasuredDrop)
        plain.append(without.window_accuracy)
        weighted.append(answer.window_accuracy)
        held.append(answer.drop.low <= 0.9 - 0.725 <= answer.drop.high)
    assert np.mean(plain) == pytest.approx(0.65, abs=0.02)
    assert np.mean(weighted) == pytest.approx(0.725, abs=0.02)
    assert np.mean(held) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(held))


def test_few_labels_make_a_wide_interval():
    rng = np.random.default_rng(0)
    reference = answered(rng, np.full(30, 0.9))
    answer = measured_drop(*reference, [1, 0, 1, 1], ["a", "b", "c", "d"])
    assert isinstance(answer, MeasuredDrop)
    assert answer.drop.low < 0 < 0.4 < answer.drop.high <= 1


def test_one_labelled_source_abstains():
    reference = answered(np.random.default_rng(0), np.full(30, 0.9))
    answer = measured_drop(*reference, [0, 0, 0], ["a", "a", "a"])
    assert isinstance(answer, Abstained)
    assert "label clips of at least 2" in answer.reason


def test_nonsense_is_refused():
    with pytest.raises(UserError, match="2 answers and 2 weights for 3 clips"):
        measured_drop([1, 0], ["a", "b"], [1, 0], ["a", "b", "c"])
    with pytest.raises(UserError, match="2 answers and 3 weights for 2 clips"):
        measured_drop([1, 0], ["a", "b"], [1, 0], ["a", "b"], window_weight_N=[1, 1, 1])
    with pytest.raises(UserError, match="2 answers and 2 weights for 3 clips"):
        measured_drop([1, 0], ["a", "b", "c"], [1, 0], ["a", "b"])
    with pytest.raises(UserError, match="neither right"):
        measured_drop([1, 0], ["a", "b"], [0.5, 0], ["a", "b"])
