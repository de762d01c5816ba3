"""What the page says of a model that names any number of labels a clip, where that differs from one class a clip."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.label_sets import probability_of_sets, wanted_of
from tasks.report.results import Round
from tasks.statistics.bootstrap import Interval


@dataclass(frozen=True)
class LabelRow:
    """One label at its threshold, on the test split.

    Attributes:
        name: The label.
        threshold: The probability from which a clip has it.
        precision: Share of the clips given it that have it; None where none was.
        recall: Share of the clips that have it that were given it; None where none has it, as for ``f1``.
        f1: Their harmonic mean.
        clips: That have it.
        given: That were given it.
    """

    name: str
    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    clips: int
    given: int


def names_several(found: Round) -> bool:
    """Whether the round's model names any number of labels a clip."""
    return bool(found.card.get("multi_label", False))


def label_rows(found: Round) -> list[LabelRow]:
    """How each label fares at its threshold, the least F1 first."""
    per_class: dict[str, dict[str, Any]] = found.metrics["per_class"]
    rows = [
        LabelRow(name, *(of_label[key] for key in ("threshold", "precision", "recall", "f1", "clips", "given")))
        for name, of_label in per_class.items()
    ]
    return sorted(rows, key=lambda row: (row.f1 is None, row.f1 or 0.0, row.name))


def average_precisions(found: Round) -> list[tuple[str, Interval, int]]:
    """Average precision of each label that was tested, and on how many clips that have it, the worst first."""
    rows = [
        (name, Interval(of_label["ap"], of_label["ap_low"], of_label["ap_high"]), int(of_label["clips"]))
        for name, of_label in found.metrics["per_class"].items()
        if of_label["ap"] is not None
    ]
    return sorted(rows, key=lambda row: row[1].estimate)


def probability_of_truth(predictions: pd.DataFrame, labels: list[str]) -> NDArray[np.floating]:
    """Of exactly the labels that each clip has, were labels independent of each other."""
    if predictions.empty:
        return np.empty(0)
    probability_NK = np.stack(list(predictions["probabilities"])).astype(np.float64)
    return probability_of_sets(wanted_of(predictions, labels), probability_NK)
