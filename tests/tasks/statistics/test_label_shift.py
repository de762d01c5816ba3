import numpy as np
import pytest
from scipy.special import softmax

from models.errors import UserError
from tasks.statistics.label_shift import LabelShift, label_shift
from tasks.statistics.outcome import Abstained


def world(rng: np.random.Generator, share_K: tuple[float, ...], sharpness: float = 2.0, num_clips: int = 3000):
    label_N = rng.choice(len(share_K), num_clips, p=share_K)
    return softmax(np.eye(len(share_K))[label_N] * sharpness + rng.standard_normal((num_clips, 3)), axis=1), label_N


def test_the_windows_labels_are_recovered_from_answers_that_err():
    rng = np.random.default_rng(0)
    window_NK, window_label_N = world(rng, (0.7, 0.1, 0.2))
    found = label_shift(*world(rng, (0.3, 0.3, 0.4)), window_NK)
    assert isinstance(found, LabelShift)
    assert found.share_K == pytest.approx((0.7, 0.1, 0.2), abs=0.03)
    assert found.weight_K == pytest.approx(found.share_K / found.reference_share_K)
    counted_K = np.bincount(window_NK.argmax(1), minlength=3) / len(window_label_N)
    assert abs(counted_K[0] - 0.7) > 2 * abs(found.share_K[0] - 0.7)


def test_a_champion_that_guesses_abstains():
    rng = np.random.default_rng(0)
    answer = label_shift(*world(rng, (0.3, 0.3, 0.4), sharpness=0.2), world(rng, (0.7, 0.1, 0.2))[0])
    assert isinstance(answer, Abstained)
    assert "confuses classes" in answer.reason


def test_a_class_without_clips_abstains_and_names_it():
    rng = np.random.default_rng(0)
    answer = label_shift(*world(rng, (0.5, 0.0, 0.5)), world(rng, (0.3, 0.3, 0.4))[0])
    assert isinstance(answer, Abstained)
    assert "class 1" in answer.reason


def test_labels_that_are_no_class_are_refused():
    probability_NK, label_N = world(np.random.default_rng(0), (0.3, 0.3, 0.4))
    for wrong_N in (label_N[1:], np.where(label_N == 2, 3, label_N), label_N - 1):
        with pytest.raises(UserError, match="labels"):
            label_shift(probability_NK, wrong_N, probability_NK)
