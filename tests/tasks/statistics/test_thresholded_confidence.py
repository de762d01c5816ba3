import numpy as np
import pytest
from scipy.special import softmax

from models.errors import UserError
from tasks.statistics.outcome import Abstained
from tasks.statistics.thresholded_confidence import EstimatedAccuracy, estimated_accuracy, negative_entropy


def world(rng: np.random.Generator, num_sources: int, signal: float, first: int = 0):
    """Answers of a champion that is as sure as it should be, on sources that are hard or easy."""
    source_N = np.repeat(np.arange(num_sources), 12)
    label_N = rng.integers(0, 5, len(source_N))
    strength_N = (signal * rng.lognormal(0, 0.2, num_sources))[source_N]
    probability_NK = softmax(
        2.5 * (np.eye(5)[label_N] * strength_N[:, None] + rng.standard_normal((len(source_N), 5))), 1
    )
    return negative_entropy(probability_NK), probability_NK.argmax(1) == label_N, source_N + first


def estimate(rng: np.random.Generator, signal: float, **more) -> tuple[EstimatedAccuracy | Abstained, float]:
    window_N, correct_N, source_N = world(rng, 25, signal, first=100)
    return estimated_accuracy(*world(rng, 40, 2.5), window_N, source_N, resamples=200, **more), float(correct_N.mean())


def test_accuracy_is_estimated_without_labels_and_its_interval_mostly_holds_it():
    errors, held = [], []
    for seed in range(60):
        answer, truth = estimate(np.random.default_rng(seed), 1.6)
        assert isinstance(answer, EstimatedAccuracy)
        errors.append(answer.accuracy.estimate - truth)
        held.append(answer.accuracy.low <= truth <= answer.accuracy.high)
        assert answer.drop.estimate == answer.reference_accuracy - answer.accuracy.estimate
        assert answer.drop.low <= answer.drop.estimate <= answer.drop.high
    assert abs(np.mean(errors)) < 0.06
    assert np.mean(held) > 0.85


def test_a_harmless_world_shows_no_drop():
    lows = [estimate(np.random.default_rng(seed), 2.5)[0].drop.low for seed in range(40)]
    assert np.mean(np.array(lows) > 0) <= 0.1


def test_a_drop_is_seen():
    lows = [estimate(np.random.default_rng(seed), 1.2)[0].drop.low for seed in range(20)]
    assert np.mean(np.array(lows) > 0) > 0.9


def test_confidence_that_says_nothing_abstains():
    rng = np.random.default_rng(0)
    score_N, correct_N, source_N = world(rng, 40, 2.5)
    answer = estimated_accuracy(score_N, rng.permutation(correct_N), source_N, score_N, source_N)
    assert isinstance(answer, Abstained)
    assert "label clips" in answer.reason


def test_confidence_that_misleads_on_other_sources_abstains():
    rng = np.random.default_rng(0)
    score_N, correct_N, source_N = world(rng, 40, 2.5)
    wrong_S = rng.random(40) < 0.4
    answer = estimated_accuracy(score_N, correct_N & ~wrong_S[source_N], source_N, score_N, source_N)
    assert isinstance(answer, Abstained)
    assert estimated_accuracy(score_N, correct_N, source_N, score_N, source_N, tolerance=0.0) != answer


def test_held_out_sources_beyond_the_tolerance_abstain():
    answer, _ = estimate(np.random.default_rng(0), 2.5, tolerance=0.001)
    assert isinstance(answer, Abstained)
    assert "misses held-out sources" in answer.reason


def test_accuracy_at_an_extreme_and_few_sources_abstain():
    score_N, correct_N, source_N = world(np.random.default_rng(0), 40, 2.5)
    perfect = estimated_accuracy(score_N, np.ones_like(correct_N), source_N, score_N, source_N)
    assert isinstance(perfect, Abstained)
    assert "0 wrong" in perfect.reason
    lonely = estimated_accuracy(score_N, correct_N, source_N, score_N[:12], source_N[:12])
    assert isinstance(lonely, Abstained)
    assert "1 sources" in lonely.reason


def test_lengths_that_differ_are_refused():
    score_N, correct_N, source_N = world(np.random.default_rng(0), 10, 2.5)
    with pytest.raises(UserError, match="differ in number"):
        estimated_accuracy(score_N, correct_N[1:], source_N, score_N, source_N)
