import numpy as np
import pytest
from sklearn.metrics import f1_score

from tasks.statistics.temperature import fit_answer_temperature, uncalibrated_answers
from tasks.statistics.thresholds import best_thresholds, given_labels, label_scores, mean_f1, pooled_f1


def test_no_other_threshold_has_a_better_f1():
    rng = np.random.default_rng(0)
    wanted_NK = rng.random((200, 3)) < [0.5, 0.2, 0.1]
    probability_NK = np.clip(0.3 * wanted_NK + rng.random((200, 3)) * 0.6, 0.0, 1.0).astype(np.float32)
    thresholds = best_thresholds(probability_NK, wanted_NK)
    found = [f1_score(wanted_NK[:, at], probability_NK[:, at] >= thresholds[at]) for at in range(3)]
    for each in np.linspace(0.0, 1.0, 101):
        given_NK = probability_NK >= each
        others_K = 2 * (given_NK & wanted_NK).sum(0) / (given_NK.sum(0) + wanted_NK.sum(0))
        assert (np.array(found) >= others_K - 1e-9).all()
    assert mean_f1(label_scores(given_labels(probability_NK, thresholds), wanted_NK)) == pytest.approx(np.mean(found))


def test_a_label_of_few_clips_keeps_one_half():
    probability_NK, wanted_NK = np.linspace(0.0, 0.3, 20)[:, None], np.zeros((20, 1), bool)
    wanted_NK[-4:] = True
    assert best_thresholds(probability_NK, wanted_NK) == [0.5]
    wanted_NK[-5] = True
    assert 0.2 < best_thresholds(probability_NK, wanted_NK)[0] < 0.3


@pytest.mark.parametrize(("below", "least"), [(1e-8, 3e-7), (1.0 - 6e-7, 1.0 - 3e-7)], ids=["near none", "near all"])
def test_a_threshold_parts_probabilities_that_lie_closer_than_its_digits(below, least):
    probability_NK = np.repeat(np.float32([below, least]), [95, 5])[:, None]
    wanted_NK = probability_NK == np.float32(least)
    assert (given_labels(probability_NK, best_thresholds(probability_NK, wanted_NK)) == wanted_NK).all()


def test_scores_by_hand():
    given_NK = np.array([[True, False], [True, False], [False, False]])
    wanted_NK = np.array([[True, False], [False, False], [True, False]])
    first, second = label_scores(given_NK, wanted_NK)
    assert (first.precision, first.recall, first.f1, first.clips, first.given) == (0.5, 0.5, 0.5, 2, 2)
    assert (second.precision, second.recall, second.f1, second.clips) == (None, None, None, 0)
    assert pooled_f1(given_NK, wanted_NK) == 0.5


def test_a_temperature_makes_answers_as_sure_as_they_are_right():
    rng = np.random.default_rng(0)
    logit_NK = rng.normal(0.0, 2.0, (4000, 2))
    wanted_NK = rng.random(logit_NK.shape) < 1.0 / (1.0 + np.exp(-logit_NK))
    assert fit_answer_temperature(3.0 * logit_NK, wanted_NK) == pytest.approx(3.0, rel=0.1)
    probability_NK = 1.0 / (1.0 + np.exp(-logit_NK / 3.0))
    assert uncalibrated_answers(probability_NK, 3.0) == pytest.approx(1.0 / (1.0 + np.exp(-logit_NK)))
