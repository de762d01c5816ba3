"""What a model made of clips: one row a clip, as Parquet. The watch writes it; choosing and pseudo-labels read it.

Legend: N clips, D features, K classes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.errors import UserError
from models.files import replacing

_LABELS = b"videoloop.labels"
_SEPARATOR = "\x1f"  # labels have no control characters
_FACTS = ["clip_id", "source_id", "captured_at"]

SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("captured_at", pa.timestamp("us", tz="UTC")),
        pa.field("embedding", pa.list_(pa.float32()), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),
    ]
)
"""Its columns; the labels that ``probabilities`` are of, in order, are in the schema's metadata."""


@dataclass(frozen=True)
class Outputs:
    """What a model made of clips.

    Attributes:
        clips: Columns ``clip_id``, ``source_id`` and ``captured_at``.
        embedding_ND: Of the clips, in the same order.
        probability_NK: Of the clips, in the same order.
        labels: Of the classes.
    """

    clips: pd.DataFrame
    embedding_ND: NDArray[np.float32]
    probability_NK: NDArray[np.float32]
    labels: list[str]

    def part(self, wanted_N: NDArray[np.bool_] | NDArray[np.int64]) -> "Outputs":
        """The rows that a mask or indices name."""
        clips = self.clips.loc[wanted_N].reset_index(drop=True)
        return Outputs(clips, self.embedding_ND[wanted_N], self.probability_NK[wanted_N], self.labels)


def write_outputs(outputs: Outputs, path: Path) -> None:
    """Write ``outputs`` in order of ``clip_id``, all or nothing."""
    ordered = outputs.part(np.argsort(outputs.clips["clip_id"].to_numpy(str), kind="stable"))
    columns = [
        *(pa.array(ordered.clips[name], SCHEMA.field(name).type, from_pandas=True) for name in _FACTS),
        _lists(ordered.embedding_ND),
        _lists(ordered.probability_NK),
    ]
    schema = SCHEMA.with_metadata({_LABELS: _SEPARATOR.join(outputs.labels).encode()})
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary, compression="zstd")


def read_outputs(path: Path) -> Outputs:
    """Read what :func:`write_outputs` wrote.

    Raises:
        UserError: The file is missing, unreadable, lacks a column, or its rows do not fit each other.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; the watch writes it") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: this is not a readable Parquet file ({' '.join(str(error).split())[:200]})") from None
    if missing := [name for name in SCHEMA.names if name not in table.column_names]:
        raise UserError(f"{path}: column {missing[0]} is missing; expected are {', '.join(SCHEMA.names)}")
    labels = (table.schema.metadata or {}).get(_LABELS, b"").decode().split(_SEPARATOR)
    clips = table.select(_FACTS).to_pandas()
    if (repeated := clips["clip_id"].duplicated()).any():
        raise UserError(f"{path}: clip {clips.loc[repeated, 'clip_id'].iloc[0]} is there twice; write it anew")
    probability_NK = _matrix(table["probabilities"], path)
    if probability_NK.shape[1] != len(labels) and len(clips):
        raise UserError(f"{path}: {probability_NK.shape[1]} probabilities for {len(labels)} labels; write it anew")
    return Outputs(clips, _matrix(table["embedding"], path), probability_NK, labels)


def _lists(matrix_NX: NDArray[np.floating]) -> pa.ListArray:
    offsets = np.arange(len(matrix_NX) + 1, dtype=np.int32) * matrix_NX.shape[1]
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(matrix_NX, np.float32).ravel())


def _matrix(column: pa.ChunkedArray, path: Path) -> NDArray[np.float32]:
    rows = column.combine_chunks()
    width_N = np.diff(rows.offsets.to_numpy())
    if rows.null_count or (len(width_N) and (width_N != width_N[0]).any()):
        raise UserError(f"{path}: rows differ in their number of features or probabilities; write it anew")
    values = rows.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    matrix: NDArray[np.float32] = values.reshape(len(width_N), -1 if len(values) else 0)
    return matrix
