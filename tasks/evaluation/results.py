"""What was measured, and the files that say so."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.files import replacing
from tasks import layout
from tasks.evaluation.measure import measure_of
from tasks.statistics.slices import SOURCE

_DIGITS = 6

_PREDICTIONS = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("predicted", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("correct", pa.bool_(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),
    ]
)


@dataclass(frozen=True)
class Measured:
    """A model on the test split.

    Attributes:
        metrics: ``metrics.json``.
        predictions: One row a clip of val and test.
        slices: Parts of the test split; see :func:`tasks.statistics.slices.slices`.
        pairs: Columns ``actual`` and ``predicted``: what DVC draws the confusion matrix of.
        bins: How often what has a probability is so.
    """

    metrics: dict[str, Any]
    predictions: pd.DataFrame
    slices: pd.DataFrame
    pairs: pd.DataFrame
    bins: pd.DataFrame

    def write(self, out: Path) -> None:
        """Write all results into ``out``, the metrics last."""
        with replacing(out / layout.PREDICTIONS.name) as temporary:
            table = pa.Table.from_pandas(self.predictions, schema=_PREDICTIONS, preserve_index=False)
            pq.write_table(table, temporary)
        with replacing(out / layout.CONFUSION.name) as temporary:
            self.pairs.map(_plottable).to_csv(temporary, index=False)
        with replacing(out / layout.RELIABILITY.name) as temporary:
            self.bins.round(_DIGITS).to_csv(temporary, index=False)
        with replacing(out / layout.SLICES.name) as temporary:
            shown = self.slices.assign(slice=self.slices["slice"].map(_plottable))
            shown.round(_DIGITS).to_csv(temporary, index=False)
        with replacing(out / layout.METRICS.name) as temporary:
            text = json.dumps(_rounded(self.metrics), indent=2, ensure_ascii=False)
            temporary.write_text(f"{text}\n", encoding="utf-8")

    def headline(self) -> dict[str, float]:
        """What MLflow shows: names of classes and sources may hold what it refuses."""
        return _headline(self.metrics) | _slice_headline(self.slices)


def _plottable(label: str) -> str:
    """What cannot end a script: ``dvc plots show`` writes its tables into one as they are."""
    return label.replace("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value


def _headline(metrics: dict[str, Any]) -> dict[str, float]:
    key = measure_of(metrics).key
    own = {name: value for name, value in metrics.items() if not isinstance(value, dict)}
    before = {f"before.{name}.{key}": found[key] for name, found in metrics["before"].items()}
    gain = {f"gain.{name}": found["difference"] for name, found in metrics["gain"].items()}
    more = {f"{name}.accuracy": metrics[name]["accuracy"] for name in ("views", "robust") if name in metrics}
    return {**own, **before, **gain, **more}


def _slice_headline(parts: pd.DataFrame) -> dict[str, float]:
    shown = parts[parts["by"] != SOURCE]
    names = shown["by"].str.cat(shown["slice"], ": ").str.replace(r"[()]", "", regex=True)
    return {f"slice.{name}": accuracy for name, accuracy in zip(names, shown["accuracy"], strict=True)} | {
        "slices_worse": float(parts["worse"].sum())
    }
