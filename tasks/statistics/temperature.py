"""One number that makes a classifier as sure as it is right: temperature scaling (Guo et al. 2017, arXiv:1706.04599).

Legend: N clips, K classes.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, logit

_LOWEST, _HIGHEST = 0.05, 20.0
_DIGITS = 4
"""Enough for any use, and few enough to be the same where sums differ in their last bits."""


def fit_temperature(logits_NK: NDArray[np.floating], label_N: NDArray[np.integer]) -> float:
    """The temperature by which class scores are divided so that the log loss on these clips is least.

    The truth counts as a little less than sure, by one part in N + 2, as in Platt 1999 ("Probabilistic outputs for
    support vector machines"): where every clip is right the log loss alone would ask for a temperature of zero.

    Args:
        logits_NK: Class scores of clips that were not trained on.
        label_N: Their classes.

    Raises:
        ValueError: There is no clip, or lengths differ.
    """
    if not len(logits_NK) or len(logits_NK) != len(label_N):
        raise ValueError(f"{len(logits_NK)} rows of class scores for {len(label_N)} labels")
    doubt = 1.0 / (len(label_N) + 2)
    scores_NK = logits_NK.astype(np.float64)
    wanted_NK = np.full(scores_NK.shape, doubt / scores_NK.shape[1])
    wanted_NK[np.arange(len(label_N)), label_N] += 1.0 - doubt

    def loss(log_temperature: float) -> float:
        return -float((wanted_NK * log_softmax(scores_NK / np.exp(log_temperature), axis=1)).sum(1).mean())

    found = minimize_scalar(loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded")
    return round(float(np.exp(found.x)), _DIGITS)


def fit_answer_temperature(logits_NK: NDArray[np.floating], wanted_NK: NDArray[np.bool_]) -> float:
    """The same where a clip may have several labels: least log loss of all yes and no to each label.

    Args:
        logits_NK: Scores of clips that were not trained on.
        wanted_NK: Which clip has which label.

    Raises:
        ValueError: There is no clip, or shapes differ.
    """
    if not logits_NK.size or logits_NK.shape != wanted_NK.shape:
        raise ValueError(f"scores of shape {logits_NK.shape} for labels of shape {wanted_NK.shape}")
    scores_NK, doubt = logits_NK.astype(np.float64), 1.0 / (wanted_NK.size + 2)
    right_NK = np.where(wanted_NK, scores_NK, -scores_NK)

    def loss(log_temperature: float) -> float:
        sure_NK = right_NK / np.exp(log_temperature)
        return -float(((1.0 - doubt / 2) * log_expit(sure_NK) + doubt / 2 * log_expit(-sure_NK)).sum(1).mean())

    found = minimize_scalar(loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded")
    return round(float(np.exp(found.x)), _DIGITS)


def uncalibrated_answers(probabilities_NK: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """The probabilities of each label that there would be without ``temperature``."""
    with np.errstate(divide="ignore"):
        return np.asarray(expit(temperature * logit(probabilities_NK.astype(np.float64))))


def uncalibrated(probabilities_NK: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """The probabilities that there would be without ``temperature``."""
    with np.errstate(divide="ignore"):
        raw_NK = log_softmax(temperature * np.log(probabilities_NK.astype(np.float64)), axis=1)
    return np.asarray(np.exp(raw_NK))
