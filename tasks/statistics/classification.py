"""How often, and in which way, a classifier is right.

Legend: N clips, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Indices = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """How one class fares; None where it cannot be said, as no clip of it was tested."""

    recall: float | None
    precision: float | None
    f1: float | None
    clips: int


def confusion(actual_N: _Indices, predicted_N: _Indices, num_classes: int) -> NDArray[np.int64]:
    """Number of clips by actual (rows) and predicted (columns) class, shape (K, K)."""
    cells = np.bincount(actual_N * num_classes + predicted_N, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def class_scores(confusion_KK: NDArray[np.int64]) -> list[ClassScores]:
    """Recall, precision and F1 of each class; a class that was never predicted has precision 0."""
    hits_K, actual_K, predicted_K = confusion_KK.diagonal(), confusion_KK.sum(1), confusion_KK.sum(0)
    return [
        ClassScores(hits / actual, hits / predicted if predicted else 0.0, 2 * hits / (actual + predicted), actual)
        if actual
        else ClassScores(None, None, None, 0)
        for hits, actual, predicted in zip(hits_K.tolist(), actual_K.tolist(), predicted_K.tolist(), strict=True)
    ]


def macro_f1(scores: list[ClassScores]) -> float:
    """Mean F1 of the classes that were tested."""
    tested = [score.f1 for score in scores if score.f1 is not None]
    return sum(tested) / len(tested)


def log_loss(probabilities_NK: NDArray[np.floating], actual_N: _Indices) -> float:
    """Mean negative log-likelihood; a probability of zero counts as the smallest normal float32."""
    likelihood_N = probabilities_NK[np.arange(len(actual_N)), actual_N].astype(np.float64)
    return float(-np.log(np.maximum(likelihood_N, np.finfo(np.float32).tiny)).mean())
