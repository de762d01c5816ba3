"""What a model is measured by: accuracy, or where clips have several labels mean average precision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.statistics.bootstrap import Interval


@dataclass(frozen=True)
class Measure:
    """A number between 0 and 1 that says how good a model is.

    Attributes:
        key: Its name in ``metrics.json``; the ends of its interval are ``<key>_low`` and ``<key>_high``.
        name: As people say it.
    """

    key: str
    name: str

    def interval(self, values: Mapping[str, Any]) -> Interval:
        """The number in a part of ``metrics.json``."""
        return Interval(values[self.key], values[f"{self.key}_low"], values[f"{self.key}_high"])

    def values(self, interval: Interval) -> dict[str, float]:
        """The number as a part of ``metrics.json``."""
        return {self.key: interval.estimate, f"{self.key}_low": interval.low, f"{self.key}_high": interval.high}


ACCURACY = Measure("accuracy", "accuracy")
MEAN_AVERAGE_PRECISION = Measure("map", "mean average precision")


def measure_of(metrics: Mapping[str, Any]) -> Measure:
    """By which the metrics of a round measure."""
    return MEAN_AVERAGE_PRECISION if MEAN_AVERAGE_PRECISION.key in metrics else ACCURACY
