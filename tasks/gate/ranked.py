"""What a model that names any number of labels says of clips, as the gate compares it: by mean average precision.

Legend: N clips, K labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.label_sets import wanted_of

_UNKNOWN = -1.0
"""A label that a model does not know is less likely than anything, of all clips alike."""


@dataclass(frozen=True)
class Ranked:
    """Scores and the truth.

    Attributes:
        score_NK: Larger where a label is likelier.
        wanted_NK: Which clip has which label.
        labels: Of the columns.
    """

    score_NK: NDArray[np.floating]
    wanted_NK: NDArray[np.bool_]
    labels: tuple[str, ...]

    @classmethod
    def of(
        cls, clips: pd.DataFrame, probability_NK: NDArray[np.floating], known: Sequence[str], labels: Sequence[str]
    ) -> "Ranked":
        """What a model says of the labels that count.

        Args:
            clips: Rows of the manifest.
            probability_NK: Of the labels that the model knows.
            known: These labels, in order.
            labels: Those that count.
        """
        at = {label: index for index, label in enumerate(known)}
        unknown_N = np.full(len(clips), _UNKNOWN)
        columns = [probability_NK[:, at[label]] if label in at else unknown_N for label in labels]
        return cls(np.stack(columns, axis=1), wanted_of(clips, labels), tuple(labels))

    def __len__(self) -> int:
        return len(self.score_NK)

    def __getitem__(self, in_N: NDArray[np.bool_]) -> "Ranked":
        return Ranked(self.score_NK[in_N], self.wanted_NK[in_N], self.labels)

    def of_label(self, label: str) -> "Ranked":
        """What is said of one label."""
        at = [self.labels.index(label)]
        return Ranked(self.score_NK[:, at], self.wanted_NK[:, at], (label,))

    @property
    def says_something(self) -> bool:
        """Whether any clip has any label: without one there is nothing to rank."""
        return bool(self.wanted_NK.any())
