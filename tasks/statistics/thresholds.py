"""From probabilities of labels to labels: a threshold for each, and how the labels so given fare.

Legend: N clips, K labels, C thresholds that could be chosen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_CLIPS = 5
"""A label that fewer clips have keeps the threshold of one half: the best one on so few says nothing about others."""

USUAL = 0.5
_DIGITS = 6


@dataclass(frozen=True)
class LabelScores:
    """How one label fares at its threshold; recall and F1 are None where no clip has it, precision where none got it.

    Attributes:
        precision: Share of the clips given the label that have it.
        recall: Share of the clips that have the label that were given it.
        f1: Their harmonic mean.
        clips: That have it.
        given: That were given it.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    clips: int
    given: int


def best_thresholds(probability_NK: NDArray[np.floating], wanted_NK: NDArray[np.bool_]) -> list[float]:
    """For each label the threshold with the best F1 on these clips, which should not have been trained on.

    It lies halfway between two probabilities that are there, or is the higher one where they are too near each other
    for few digits; of several that are as good the one nearest one half.
    """
    return [
        _best(probability_N.astype(np.float64), wanted_N) if wanted_N.sum() >= FEWEST_CLIPS else USUAL
        for probability_N, wanted_N in zip(probability_NK.T, wanted_NK.T, strict=True)
    ]


def given_labels(probability_NK: NDArray[np.floating], thresholds: list[float]) -> NDArray[np.bool_]:
    """Which clip is given which label: those whose probability reaches the label's threshold."""
    given_NK: NDArray[np.bool_] = probability_NK >= np.asarray(thresholds, probability_NK.dtype)
    return given_NK


def label_scores(given_NK: NDArray[np.bool_], wanted_NK: NDArray[np.bool_]) -> list[LabelScores]:
    """Precision, recall and F1 of each label."""
    hits_K, given_K, wanted_K = (given_NK & wanted_NK).sum(0), given_NK.sum(0), wanted_NK.sum(0)
    return [
        LabelScores(
            hits / given if given else None,
            hits / wanted if wanted else None,
            2 * hits / (given + wanted) if wanted else None,
            wanted,
            given,
        )
        for hits, given, wanted in zip(hits_K.tolist(), given_K.tolist(), wanted_K.tolist(), strict=True)
    ]


def mean_f1(scores: list[LabelScores]) -> float:
    """Mean F1 of the labels that were tested."""
    tested = [score.f1 for score in scores if score.f1 is not None]
    return sum(tested) / len(tested)


def pooled_f1(given_NK: NDArray[np.bool_], wanted_NK: NDArray[np.bool_]) -> float:
    """F1 of all labels of all clips together (micro); 1 where there was nothing to give and nothing was given."""
    hits, total = int((given_NK & wanted_NK).sum()), int(given_NK.sum() + wanted_NK.sum())
    return 2 * hits / total if total else 1.0


def _best(probability_N: NDArray[np.float64], wanted_N: NDArray[np.bool_]) -> float:
    order_N = np.argsort(-probability_N, kind="stable")
    sorted_N = probability_N[order_N]
    last_C = np.flatnonzero(np.append(np.diff(sorted_N) != 0, True))
    f1_C = 2 * np.cumsum(wanted_N[order_N])[last_C] / (last_C + 1 + wanted_N.sum())
    below_C = np.append(sorted_N, 0.0)[last_C + 1]
    threshold_C = (sorted_N[last_C] + below_C) / 2
    best_C = np.flatnonzero(f1_C >= f1_C.max() - 1e-12)
    chosen = best_C[np.abs(threshold_C[best_C] - USUAL).argmin()]
    least, below, threshold = (float(each_C[chosen]) for each_C in (sorted_N[last_C], below_C, threshold_C))
    rounded = round(threshold, _DIGITS)
    return rounded if below < rounded <= least else least
