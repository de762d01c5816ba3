"""Predictions for the watch: a sample, with embedding and input facts, as small Parquet files.

``home/predictions/NAME/DAY/TIME-RANDOM.parquet``, each there whole or not at all, in UTC. The oldest go when there is
too much. Logging never delays a prediction and never fails one: what cannot be written is counted and forgotten.
"""

import logging
import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.files import replacing
from tasks.video.clips import Facts

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("source_id", pa.string()),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("version", pa.int32(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("labels", pa.list_(pa.string()), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),
        pa.field("embedding", pa.list_(pa.float32()), nullable=False),
        pa.field("windows", pa.int16(), nullable=False),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
        pa.field("codec", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("fps", pa.float64(), nullable=False),
        pa.field("rotation", pa.int16(), nullable=False),
        pa.field("brightness", pa.float32(), nullable=False),
        pa.field("contrast", pa.float32(), nullable=False),
        pa.field("sharpness", pa.float32(), nullable=False),
        pa.field("motion", pa.float32(), nullable=False),
    ]
)
_ROWS_PER_PART = 256
_MAX_AGE_S = 30.0
_MAX_WAITING = 4096
_MAX_PARTS = 20_000


@dataclass(frozen=True)
class LoggedPrediction:
    """One answer of the service.

    Attributes:
        id: Of the request.
        at: When it was answered.
        source_id: From which camera or person the video is, where the client said so.
        sha256: Of the uploaded bytes.
        name: The registered model.
        version: The version that answered.
        probabilities: By label, in the model's order.
        embedding: The backbone's features, mean over time and windows.
        windows: Windows of the video.
        facts: What decoding found.
        label: What was answered; empty for the most probable label.
    """

    id: str
    at: datetime
    source_id: str | None
    sha256: str
    name: str
    version: int
    probabilities: dict[str, float]
    embedding: NDArray[np.float32]
    windows: int
    facts: Facts
    label: str = ""


class PredictionLog:
    """Writes in a thread of its own."""

    def __init__(
        self,
        home: Path,
        name: str,
        *,
        share: float,
        max_bytes: float,
        logged: Callable[[str, int], None],
        max_age_s: float = _MAX_AGE_S,
    ) -> None:
        """Make a log.

        Args:
            home: Where state is.
            name: The registered model.
            share: Of the predictions, taken at random.
            max_bytes: Of all files together.
            logged: Hears how many predictions were ``written`` or ``lost``.
            max_age_s: A prediction is on the disk after that.
        """
        self._folder = predictions_folder(home, name)
        self._share = share
        self._max_bytes = max_bytes
        self._logged = logged
        self._max_age_s = max_age_s
        self._waiting: list[LoggedPrediction] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def offer(self, make: Callable[[], LoggedPrediction]) -> None:
        """Take a prediction, made only if the sample wants it."""
        if random.random() >= self._share:
            return
        with self._changed:
            if len(self._waiting) >= _MAX_WAITING:
                self._logged("lost", 1)
                return
            self._waiting.append(make())
            if len(self._waiting) >= _ROWS_PER_PART:
                self._changed.notify()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._waiting) >= _ROWS_PER_PART, self._max_age_s)
                closed, rows, self._waiting = self._closed, self._waiting, []
            try:
                self._write(rows)
            except Exception as error:
                logger.warning("%d predictions are not logged: %s", len(rows), error)
                self._logged("lost", len(rows))

    def _write(self, rows: list[LoggedPrediction]) -> None:
        if not rows:
            return
        at = rows[0].at
        part = self._folder / f"{at:%Y-%m-%d}" / f"{at:%H%M%S}-{uuid.uuid4().hex[:8]}.parquet"
        with replacing(part) as temporary:
            pq.write_table(pa.Table.from_pylist([_row(row) for row in rows], SCHEMA), temporary, compression="zstd")
        self._logged("written", len(rows))
        self._thin_out()

    def _thin_out(self) -> None:
        parts = sorted(self._folder.glob("*/*.parquet"), reverse=True)
        kept_bytes = 0
        for number, part in enumerate(parts):
            try:
                kept_bytes += part.stat().st_size
                if number > 0 and (kept_bytes > self._max_bytes or number >= _MAX_PARTS):
                    part.unlink()
            except FileNotFoundError:  # another service of the same model was faster
                continue


def predictions_folder(home: Path, name: str) -> Path:
    """Where predictions of the model ``name`` are logged."""
    return home / "predictions" / quote(name, safe="")


def read_predictions(home: Path, name: str, since: datetime | None = None) -> pd.DataFrame:
    """What was logged about ``name``, oldest first; columns as in :data:`SCHEMA`.

    Args:
        home: Where state is.
        name: The registered model.
        since: Leaves out what was answered before.
    """
    parts = sorted(predictions_folder(home, name).glob("*/*.parquet"))
    # A part is named by its first prediction, and the last one of a day may reach into the next.
    first_day = f"{since.astimezone(UTC) - timedelta(days=1):%Y-%m-%d}" if since else ""
    tables = []
    for part in parts:
        if part.parent.name >= first_day:
            try:
                tables.append(pq.read_table(part, schema=SCHEMA))
            except FileNotFoundError:  # thinned out meanwhile
                continue
    found: pd.DataFrame = pa.concat_tables(tables or [SCHEMA.empty_table()]).to_pandas()
    if since:
        found = found[found["at"] >= since]
    return found.sort_values("at", ignore_index=True)


def _row(prediction: LoggedPrediction) -> dict[str, Any]:
    labels, values = list(prediction.probabilities), list(prediction.probabilities.values())
    return {
        **{key: getattr(prediction, key) for key in ("id", "at", "source_id", "sha256", "name", "version", "windows")},
        "label": prediction.label or labels[int(np.argmax(values))],
        "labels": labels,
        "probabilities": values,
        "embedding": prediction.embedding,
        **asdict(prediction.facts),
    }
