"""What a model made of clips: one row a clip, as Parquet. The watch writes it; choosing and pseudo-labels read it.

Legend: N clips, D features, K classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.clips.label_sets import are_sets_of, probability_of_sets, texts_of
from models.errors import UserError
from models.files import replacing
from tasks.statistics.thresholds import given_labels

_LABELS, _THRESHOLDS = b"videoloop.labels", b"videoloop.thresholds"
_NOTE = "videoloop.note."
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
"""Its columns; the labels that ``probabilities`` are of, in order, are in the schema's metadata.

So are the thresholds of a model that names any number of labels a clip.
"""


@dataclass(frozen=True)
class Outputs:
    """What a model made of clips.

    Attributes:
        clips: Columns ``clip_id``, ``source_id`` and ``captured_at``.
        embedding_ND: Of the clips, in the same order.
        probability_NK: Of the clips, in the same order.
        labels: Of the classes.
        thresholds: The probability from which a clip has each label, where it may have any number of them; None where
            it has one.
    """

    clips: pd.DataFrame
    embedding_ND: NDArray[np.float32]
    probability_NK: NDArray[np.float32]
    labels: list[str]
    thresholds: tuple[float, ...] | None = None

    @property
    def names_several(self) -> bool:
        """Whether the model names any number of labels a clip."""
        return self.thresholds is not None

    def given(self) -> NDArray[np.bool_]:
        """Which labels it gives each clip, shape (N, K): the most probable one, or all that reach their thresholds."""
        if self.thresholds is not None:
            return given_labels(self.probability_NK, list(self.thresholds))
        most_N = self.probability_NK.argmax(1)
        given_NK: NDArray[np.bool_] = most_N[:, None] == np.arange(self.probability_NK.shape[1])
        return given_NK

    def said(self) -> NDArray[np.object_]:
        """What it says of each clip, shape (N,), as the manifest's ``label`` would: a class, or a set as text."""
        if self.names_several:
            return np.array(texts_of(self.given(), self.labels), dtype=object)
        said_N: NDArray[np.object_] = np.array(self.labels, dtype=object)[self.probability_NK.argmax(1)]
        return said_N

    def confidence(self) -> NDArray[np.floating]:
        """The probability of what it says, shape (N,): of several labels of exactly these, were they independent."""
        if self.names_several:
            return probability_of_sets(self.given(), self.probability_NK.astype(np.float64))
        confidence_N: NDArray[np.float32] = self.probability_NK.max(1)
        return confidence_N

    def has_known_label(self) -> NDArray[np.bool_]:
        """Which clips have a label that the model knows, shape (N,); of a set all are known."""
        texts = self.clips["label"]
        return are_sets_of(texts, self.labels) if self.names_several else texts.isin(self.labels).to_numpy(bool)

    def part(self, wanted_N: NDArray[np.bool_] | NDArray[np.int64]) -> "Outputs":
        """The rows that a mask or indices name."""
        return replace(
            self,
            clips=self.clips.loc[wanted_N].reset_index(drop=True),
            embedding_ND=self.embedding_ND[wanted_N],
            probability_NK=self.probability_NK[wanted_N],
        )


def write_outputs(
    outputs: Outputs, path: Path, *, more: Sequence[pa.Field] = (), notes: Mapping[str, str] | None = None
) -> None:
    """Write ``outputs`` in order of ``clip_id``, all or nothing.

    Args:
        outputs: What the model made of clips.
        path: The file.
        more: Further columns of ``outputs.clips`` to write.
        notes: Text for the whole file; see :func:`output_notes`.
    """
    ordered = outputs.part(np.argsort(outputs.clips["clip_id"].to_numpy(str), kind="stable"))
    schema = pa.schema([*SCHEMA, *more])
    columns = [
        *(pa.array(ordered.clips[name], SCHEMA.field(name).type, from_pandas=True) for name in _FACTS),
        _lists(ordered.embedding_ND),
        _lists(ordered.probability_NK),
        *(pa.array(ordered.clips[field.name], field.type, from_pandas=True) for field in more),
    ]
    metadata = {f"{_NOTE}{key}".encode(): value.encode() for key, value in (notes or {}).items()}
    metadata |= {_LABELS: _SEPARATOR.join(outputs.labels).encode()}
    if outputs.thresholds is not None:
        metadata |= {_THRESHOLDS: json.dumps(outputs.thresholds).encode()}
    schema = schema.with_metadata(metadata)
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary, compression="zstd")


def output_notes(path: Path) -> dict[str, str]:
    """The text that :func:`write_outputs` was given for the whole file; none where the file is not readable."""
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return {}
    noted = {key.decode(): value.decode() for key, value in metadata.items() if key.startswith(_NOTE.encode())}
    return {key.removeprefix(_NOTE): value for key, value in noted.items()}


def read_outputs(path: Path, *, more: Sequence[pa.Field] = ()) -> Outputs:
    """Read what :func:`write_outputs` wrote.

    Args:
        path: The file.
        more: Further columns to read into ``clips``.

    Raises:
        UserError: The file is missing, unreadable, lacks a column, or its rows do not fit each other.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; the watch writes it") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: this is not a readable Parquet file ({' '.join(str(error).split())[:200]})") from None
    expected = [*SCHEMA.names, *(field.name for field in more)]
    if missing := [name for name in expected if name not in table.column_names]:
        raise UserError(f"{path}: column {missing[0]} is missing; expected are {', '.join(expected)}")
    metadata: dict[bytes, bytes] = table.schema.metadata or {}
    labels = metadata.get(_LABELS, b"").decode().split(_SEPARATOR)
    thresholds = tuple(json.loads(metadata[_THRESHOLDS])) if _THRESHOLDS in metadata else None
    clips = table.select([*_FACTS, *(field.name for field in more)]).to_pandas()
    if (repeated := clips["clip_id"].duplicated()).any():
        raise UserError(f"{path}: clip {clips.loc[repeated, 'clip_id'].iloc[0]} is there twice; write it anew")
    probability_NK = _matrix(table["probabilities"], path)
    if probability_NK.shape[1] != len(labels) and len(clips):
        raise UserError(f"{path}: {probability_NK.shape[1]} probabilities for {len(labels)} labels; write it anew")
    if thresholds is not None and len(thresholds) != len(labels):
        raise UserError(f"{path}: {len(thresholds)} thresholds for {len(labels)} labels; write it anew")
    return Outputs(clips, _matrix(table["embedding"], path), probability_NK, labels, thresholds)


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
