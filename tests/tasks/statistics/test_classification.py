import numpy as np
import pytest
from sklearn import metrics

from tasks.statistics.classification import class_scores, confusion, log_loss, macro_f1

RNG = np.random.default_rng(0)
ACTUAL, PREDICTED = RNG.integers(0, 4, 200), RNG.integers(0, 4, 200)


def test_agrees_with_sklearn():
    matrix = confusion(ACTUAL, PREDICTED, 4)
    scores = class_scores(matrix)
    assert (matrix == metrics.confusion_matrix(ACTUAL, PREDICTED)).all()
    precision, recall, f1, clips = metrics.precision_recall_fscore_support(ACTUAL, PREDICTED)
    assert [score.precision for score in scores] == pytest.approx(precision)
    assert [score.recall for score in scores] == pytest.approx(recall)
    assert [score.f1 for score in scores] == pytest.approx(f1)
    assert [score.clips for score in scores] == clips.tolist()
    assert macro_f1(scores) == pytest.approx(f1.mean())


def test_a_class_without_clips_has_no_scores_and_does_not_count():
    scores = class_scores(confusion(np.array([0, 0, 1]), np.array([0, 2, 1]), 3))
    assert (scores[2].recall, scores[2].precision, scores[2].f1, scores[2].clips) == (None, None, None, 0)
    assert macro_f1(scores) == pytest.approx((2 / 3 + 1) / 2)


def test_a_class_that_is_never_predicted_has_no_precision():
    scores = class_scores(confusion(np.array([0, 1]), np.array([0, 0]), 2))
    assert (scores[1].recall, scores[1].precision, scores[1].f1) == (0.0, 0.0, 0.0)


def test_log_loss_is_finite_and_agrees_with_sklearn():
    probabilities = RNG.dirichlet(np.ones(4), 200).astype(np.float32)
    assert log_loss(probabilities, ACTUAL) == pytest.approx(metrics.log_loss(ACTUAL, probabilities), rel=1e-5)
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]], np.float32), np.array([1])))
