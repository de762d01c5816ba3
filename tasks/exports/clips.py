"""Clips on which formats are calibrated and compared.

Legend: N clips.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from models.clips.label_sets import is_multi_label, known_to, wanted_of
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.clips.sampling import ClipInput
from models.clips.shards import Shards
from models.errors import UserError
from tasks.evaluation.measure import ACCURACY, MEAN_AVERAGE_PRECISION, Measure
from tasks.statistics.average_precision import mean_average_precision

_CALIBRATION_BATCH = 4
_COMPARISON_BATCH = 8


class ExportClips:
    """Labelled clips of a dataset as the model takes them.

    Attributes:
        compared: Rows of the manifest, of the clips to compare on.
        multi_label: Whether they may have several labels.
    """

    def __init__(
        self,
        manifest: Path,
        data: Path,
        labels: Sequence[str],
        clip_input: ClipInput,
        *,
        num_train: int,
        num_compared: int,
        seed: int,
        compared_on: Sequence[str] = ("val",),
        shards: Shards | None = None,
    ) -> None:
        """Choose clips, as evenly over sources as there are.

        Args:
            manifest: The table.
            data: The dataset's folder.
            labels: The model's, in order.
            clip_input: What the model takes.
            num_train: To calibrate on, at most.
            num_compared: To compare on, at most.
            seed: Of the choice.
            compared_on: Splits to compare on.
            shards: Where shards are, if not in the dataset's folder.

        Raises:
            UserError: There is no labelled clip to calibrate or to compare on.
        """
        table = read_manifest(manifest)
        known = table[known_to(table, labels)]
        self.multi_label = is_multi_label(table)
        self._data, self._labels, self._input = data, list(labels), clip_input
        self._shards = shards
        self._train = _spread(known[known["split"] == "train"], num_train, seed)
        self.compared = _spread(known[known["split"].isin(compared_on)], num_compared, seed)
        for name, clips in (("train", self._train), (" or ".join(compared_on), self.compared)):
            if clips.empty:
                raise UserError(f"{manifest}: split: no labelled clip is in {name}; ingest more sources")

    @property
    def measure(self) -> Measure:
        """By which answers are measured."""
        return MEAN_AVERAGE_PRECISION if self.multi_label else ACCURACY

    def score(self, probabilities_NK: NDArray[np.float32]) -> float:
        """How good answers for the clips to compare on are, by :attr:`measure`."""
        if self.multi_label:
            return mean_average_precision(probabilities_NK, wanted_of(self.compared, self._labels))
        answers = np.array(self._labels, dtype=object)[probabilities_NK.argmax(1)]
        return float((answers == self.compared["label"].to_numpy()).mean())

    def calibration(self) -> Iterator[Tensor]:
        """``clip_BCTHW`` of training clips, batch by batch."""
        return self._batches(self._train, _CALIBRATION_BATCH)

    def comparison(self) -> Iterator[Tensor]:
        """``clip_BCTHW`` of clips to compare on, batch by batch, in their order."""
        return self._batches(self.compared, _COMPARISON_BATCH)

    def some(self, num_clips: int) -> Tensor:
        """``clip_BCTHW`` of clips to compare on, again from the first where there are fewer."""
        chosen = self.compared.iloc[np.arange(num_clips) % len(self.compared)]
        return next(iter(self._batches(chosen, num_clips)))

    def _batches(self, clips: pd.DataFrame, batch_size: int) -> Iterator[Tensor]:
        workers = min(os.cpu_count() or 1, 8)
        loader = ClipLoader(
            self._data, clips, self._labels, self._input, batch_size, num_workers=workers, shards=self._shards
        )
        return (batch.clip_BCTHW for batch in loader.epoch(0))


def _spread(clips: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    drawn = clips.sort_values("clip_id").sample(frac=1.0, random_state=seed)
    turn_N = drawn.groupby("source_id").cumcount().to_numpy()
    return drawn.iloc[np.argsort(turn_N, kind="stable")[:most]].reset_index(drop=True)
