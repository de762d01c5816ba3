import numpy as np
import pytest

from tasks.statistics.calibration import expected_calibration_error, reliability


def test_bins_hold_what_falls_into_them():
    confidence = np.array([0.05, 0.2, 0.29, 1.0], np.float32)
    bins = reliability(confidence, np.array([False, True, False, True]), 10)
    assert bins["low"].tolist() == pytest.approx([0.0, 0.2, 0.9])
    assert bins["clips"].tolist() == [1, 2, 1]
    assert bins["confidence"].tolist() == pytest.approx([0.05, 0.245, 1.0])
    assert bins["accuracy"].tolist() == [0.0, 0.5, 1.0]


def test_the_error_is_the_mean_gap_weighted_by_clips():
    confidence = np.array([0.9] * 3 + [0.55], np.float32)
    correct = np.array([True, True, False, True])
    bins = reliability(confidence, correct, 5)
    assert expected_calibration_error(bins) == pytest.approx(0.75 * abs(2 / 3 - 0.9) + 0.25 * abs(1 - 0.55), abs=1e-6)


def test_honest_confidence_has_a_small_error_and_boasting_a_large_one():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1.0, 20_000)
    honest = reliability(confidence, rng.random(20_000) < confidence, 15)
    boasting = reliability(confidence, rng.random(20_000) < 0.5 * confidence, 15)
    assert expected_calibration_error(honest) < 0.02
    assert expected_calibration_error(boasting) == pytest.approx(0.3, abs=0.02)
