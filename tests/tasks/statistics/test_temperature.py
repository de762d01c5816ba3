import numpy as np
import pytest
from scipy.special import softmax

from tasks.statistics.calibration import expected_calibration_error, reliability
from tasks.statistics.temperature import fit_temperature, uncalibrated


def drawn(num_clips: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Class scores that have to be divided by ``temperature``, and labels drawn as they then say."""
    rng = np.random.default_rng(0)
    honest_NK = rng.normal(0, 2, (num_clips, 5))
    label_N = (softmax(honest_NK, axis=1).cumsum(1) < rng.random((num_clips, 1))).sum(1)
    return temperature * honest_NK, label_N


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_recovered(temperature: float):
    assert fit_temperature(*drawn(20_000, temperature)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("temperature", [0.3, 4.0])
def test_the_calibration_error_of_other_clips_falls_and_no_answer_changes(temperature: float):
    logits_NK, label_N = drawn(8_000, temperature)
    fitted = fit_temperature(logits_NK[:500], label_N[:500])
    before_NK, after_NK = softmax(logits_NK[500:], axis=1), softmax(logits_NK[500:] / fitted, axis=1)
    assert (before_NK.argmax(1) == after_NK.argmax(1)).all()

    def error(probabilities_NK: np.ndarray) -> float:
        correct_N = probabilities_NK.argmax(1) == label_N[500:]
        return expected_calibration_error(reliability(probabilities_NK.max(1), correct_N, 15))

    assert error(after_NK) < 0.03 < 0.1 < error(before_NK)


def test_where_every_clip_is_right_it_does_not_become_certain():
    scores_NK = 3.0 * np.eye(4)[np.arange(60) % 4]
    temperature = fit_temperature(scores_NK, np.arange(60) % 4)
    confidence = softmax(scores_NK / temperature, axis=1).max()
    assert 0.95 < confidence < 1 - 0.5 / 62


def test_what_was_before_is_found_from_what_is_after():
    logits_NK, _ = drawn(50, 4.0)
    after_NK = softmax(logits_NK / 2.5, axis=1).astype(np.float32)
    np.testing.assert_allclose(uncalibrated(after_NK, 2.5), softmax(logits_NK, axis=1), atol=1e-5)


def test_a_probability_of_nothing_stays_nothing():
    assert uncalibrated(np.array([[1.0, 0.0]], np.float32), 0.2).tolist() == [[1.0, 0.0]]


def test_without_clips_there_is_no_temperature():
    with pytest.raises(ValueError, match="0 rows"):
        fit_temperature(np.empty((0, 3)), np.empty(0, int))
