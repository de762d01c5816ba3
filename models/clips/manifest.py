"""The manifest: one row a clip, as Parquet.

``clip_id`` is a hash of what the clip shows; ``shard`` and ``row`` say where its frames are. ``width``, ``height``,
``fps``, ``codec`` and ``rotation`` describe the original video (sizes after rotation); ``frames`` counts stored frames.
A clip without a label has no split either. ``label_origin`` says where a label comes from that no source of video gave:
``person`` by a labelling request, ``pseudo`` by a model that was sure enough; such a clip is only ever trained on.

The manifest of a multi-label dataset has one column more, ``labels``: :mod:`models.clips.label_sets`.
"""

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.clips.label_sets import is_multi_label, labels_in, with_lists
from models.errors import UserError

SPLITS = ("train", "val", "test")
PERSON, PSEUDO = "person", "pseudo"
_NOTE = b"videoloop.note"

SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("label_origin", pa.string()),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
        pa.field("captured_at", pa.timestamp("us", tz="UTC")),
        pa.field("split", pa.string()),
        pa.field("codec", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("fps", pa.float64(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        pa.field("rotation", pa.int16(), nullable=False),
        pa.field("brightness", pa.float32(), nullable=False),
        pa.field("contrast", pa.float32(), nullable=False),
        pa.field("sharpness", pa.float32(), nullable=False),
        pa.field("motion", pa.float32(), nullable=False),
    ]
)
_LABELS = pa.field("labels", pa.list_(pa.string()))
# Columns that manifests of earlier versions lack: read, and written, as empty.
_LATER = ("label_origin",)


def write_manifest(manifest: pd.DataFrame, path: Path, *, note: str = "") -> None:
    """Write ``manifest`` sorted by ``clip_id``, all or nothing: the same clips give the same bytes.

    Args:
        manifest: The columns of ``SCHEMA``; ``label_origin`` may be missing. Where there is a column ``labels``, it is
            written to say what ``label`` says.
        path: The file.
        note: Text for the whole manifest, such as how its splits came about; see :func:`manifest_note`.
    """
    schema = SCHEMA
    if is_multi_label(manifest):
        manifest, schema = with_lists(manifest), SCHEMA.append(_LABELS)
    table = pa.Table.from_pandas(
        _completed(manifest).sort_values("clip_id")[schema.names], schema=schema, preserve_index=False
    ).replace_schema_metadata({_NOTE: note.encode()} if note else None)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)


def manifest_note(path: Path) -> str:
    """The text that :func:`write_manifest` was given for the whole manifest."""
    metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    return metadata.get(_NOTE, b"").decode()


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest.

    Raises:
        UserError: The file is missing, unreadable, or lacks columns.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no dataset here; in the project's folder run `videoloop ingest SOURCE`, or "
            "`dvc checkout data.dvc`"
        ) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: this is not a readable manifest ({error}); {_RESTORE}") from None
    if missing := [name for name in SCHEMA.names if name not in {*table.column_names, *_LATER}]:
        raise UserError(
            f"{path}: column {missing[0]} is missing; {_RESTORE}, or remove it and ingest all sources anew (frames "
            "that are stored are used again)"
        )
    several = [_LABELS.name] if _LABELS.name in table.column_names else []
    manifest: pd.DataFrame = _completed(table.to_pandas())[[*SCHEMA.names, *several]]
    return manifest


_RESTORE = "run `dvc checkout --force data.dvc`"


def _completed(manifest: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in _LATER if name not in manifest]
    return manifest.assign(**{name: pd.Series(None, manifest.index, dtype="str") for name in missing})


def labels_of(manifest: pd.DataFrame) -> list[str]:
    """The labels in order: the index of a label is its class in every model of this dataset."""
    texts = manifest["label"].dropna().unique()
    if is_multi_label(manifest):
        return sorted({label for text in texts for label in labels_in(text)})
    return sorted(map(str, texts))
