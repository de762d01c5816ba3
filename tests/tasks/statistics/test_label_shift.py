import numpy as np
import pytest
from scipy.special import softmax

from models.errors import UserError
from tasks.statistics.label_shift import LabelShift, label_shift
from tasks.statistics.outcome import Abstained

LABELS = ["fall", "walk", "wave"]


def world(rng: np.random.Generator, share_K: tuple[float, ...], sharpness: float = 2.0, num_clips: int = 3000):
    """Softmax outputs, true classes and sources of clips, of which 30 come from a source."""
    label_N = rng.choice(len(share_K), num_clips, p=share_K)
    noise_NK = rng.standard_normal((num_clips, len(share_K)))
    return softmax(np.eye(len(share_K))[label_N] * sharpness + noise_NK, axis=1), label_N, np.arange(num_clips) // 30


def shift(reference, window, **options):
    return label_shift(*reference, window[0], window[2] + 1000, LABELS, **{"resamples": 200} | options)


def test_the_windows_labels_are_recovered_from_answers_that_err():
    rng = np.random.default_rng(0)
    window = world(rng, (0.7, 0.1, 0.2))
    found = shift(world(rng, (0.3, 0.3, 0.4)), window)
    assert isinstance(found, LabelShift)
    assert found.share_K == pytest.approx((0.7, 0.1, 0.2), abs=0.03)
    assert found.weight_K == pytest.approx(found.share_K / found.reference_share_K)
    assert (found.low_K < found.weight_K).all()
    assert found.low_K[0] > 1 > found.high_K[1]
    counted_K = np.bincount(window[0].argmax(1), minlength=3) / len(window[1])
    assert abs(counted_K[0] - 0.7) > 2 * abs(found.share_K[0] - 0.7)


def test_where_nothing_has_changed_no_class_is_named_more_often_than_promised():
    """Each source prefers some classes, so that clips are not independent."""
    rng = np.random.default_rng(0)
    named = []
    for _ in range(120):
        sides = []
        for num_sources in (24, 12):
            source_N = np.repeat(np.arange(num_sources), 20)
            of_source_SK = rng.dirichlet([6.0, 6.0, 6.0], num_sources)
            label_N = np.array([rng.choice(3, p=of_source_SK[source]) for source in source_N])
            answer_NK = softmax(2 * np.eye(3)[label_N] + rng.standard_normal((len(label_N), 3)), axis=1)
            sides.append((answer_NK, label_N, source_N))
        found = shift(*sides)
        assert isinstance(found, LabelShift)
        named.append(bool(((found.low_K > 1) | (found.high_K < 1)).any()))
    assert np.mean(named) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(named))


def test_a_champion_that_guesses_abstains():
    rng = np.random.default_rng(0)
    answer = shift(world(rng, (0.3, 0.3, 0.4), sharpness=0.2), world(rng, (0.7, 0.1, 0.2)))
    assert isinstance(answer, Abstained)
    assert "confuses classes" in answer.reason


def test_a_class_without_clips_abstains_and_names_it():
    rng = np.random.default_rng(0)
    answer = shift(world(rng, (0.5, 0.0, 0.5)), world(rng, (0.3, 0.3, 0.4)))
    assert isinstance(answer, Abstained)
    assert "no clips of class walk" in answer.reason


def test_a_class_that_one_source_shows_abstains():
    rng = np.random.default_rng(0)
    answer_NK, label_N, source_N = world(rng, (0.5, 0.0, 0.5), num_clips=600)
    label_N[:20] = 1
    answer_NK[:20] = (0.1, 0.8, 0.1)
    answer = shift((answer_NK, label_N, source_N), world(rng, (0.3, 0.3, 0.4)))
    assert isinstance(answer, Abstained)
    assert "With other sources of the same kind" in answer.reason


def test_few_sources_abstain():
    rng = np.random.default_rng(0)
    answer = shift(world(rng, (0.3, 0.3, 0.4)), world(rng, (0.3, 0.3, 0.4), num_clips=90))
    assert isinstance(answer, Abstained)
    assert "A side has 3 sources" in answer.reason


def test_labels_that_are_no_class_are_refused():
    probability_NK, label_N, source_N = world(np.random.default_rng(0), (0.3, 0.3, 0.4))
    for wrong_N in (label_N[1:], np.where(label_N == 2, 3, label_N), label_N - 1):
        with pytest.raises(UserError, match="labels"):
            shift((probability_NK, wrong_N, source_N), (probability_NK, label_N, source_N))
