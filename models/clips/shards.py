"""Shards: files with many clips, decoded once to training size, written once, named by their content.

A shard is an Arrow IPC file that is mapped into memory, one row a clip. Frames are JPEG: 14 times as fast to read as
seeking in H.264, for seven times the bytes (raw frames would take seventy). What a writer wants to find again after an
interruption, such as what probing found, travels in the row as opaque text.
"""

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg
from numpy.typing import NDArray

from models.errors import UserError

SUFFIX = ".arrow"
_FORMAT = {b"videoloop.shard": b"1"}
_SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("times_s", pa.large_list(pa.float64()), nullable=False),
        pa.field("frames", pa.large_list(pa.large_binary()), nullable=False),
        pa.field("facts", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class StoredClip:
    """A clip as a shard holds it.

    Attributes:
        clip_id: Hash of what the clip shows.
        width: Of the stored frames, in pixels.
        height: Of the stored frames, in pixels.
        times_s: Presentation time of each frame from the clip's start, ascending.
        frames: JPEG, one a frame.
        facts: Text that the shard keeps and does not look into.
    """

    clip_id: str
    width: int
    height: int
    times_s: Sequence[float]
    frames: Sequence[bytes]
    facts: str = ""


def write_shard(folder: Path, clips: Sequence[StoredClip], note: str = "") -> list[tuple[str, int]]:
    """Write ``clips`` as one shard, all or nothing.

    Args:
        folder: Where shards lie.
        clips: At least one.
        note: Text for the whole shard, such as the parameters it was made with; see :func:`read_index`.

    Returns:
        Name of the shard and row of each clip.
    """
    columns = {name: [getattr(clip, name) for clip in clips] for name in _SCHEMA.names}
    schema = _SCHEMA.with_metadata({**_FORMAT, b"note": note.encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))
    content = sink.getvalue()
    name = hashlib.sha256(content).hexdigest() + SUFFIX
    _write_durably(folder / name, content)
    return [(name, row) for row in range(len(clips))]


def verify_shard(path: Path) -> bool:
    """Whether the file's content is what its name says."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == path.name.removesuffix(SUFFIX)


@dataclass(frozen=True)
class ShardIndex:
    """What a shard says about itself.

    Attributes:
        note: The text that :func:`write_shard` was given for the whole shard.
        facts: The text of each clip, by clip_id, in the order of rows.
    """

    note: str
    facts: dict[str, str]


def read_index(path: Path) -> ShardIndex:
    """Read what a shard says about itself, without its frames.

    Raises:
        UserError: It is missing, damaged, or not a shard.
    """
    batch = _open(path)
    note: bytes = batch.schema.metadata[b"note"]
    facts = dict(zip(batch["clip_id"].to_pylist(), batch["facts"].to_pylist(), strict=True))
    return ShardIndex(note.decode(), facts)


class ClipStore:
    """The clips of a folder of shards, read in place; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batches: dict[str, pa.RecordBatch] = {}
        self._lock = threading.Lock()

    def times(self, shard: str, row: int) -> NDArray[np.float64]:
        """Presentation times of the clip's frames, in seconds from its start."""
        times: NDArray[np.float64] = self._batch(shard)["times_s"][row].values.to_numpy()
        return times

    def size(self, shard: str, row: int) -> tuple[int, int]:
        """Width and height of the clip's frames."""
        batch = self._batch(shard)
        return batch["width"][row].as_py(), batch["height"][row].as_py()

    def frames(self, shard: str, row: int) -> list[memoryview]:
        """The clip's frames as JPEG, not copied."""
        return [_bytes_of(frame) for frame in self._batch(shard)["frames"][row].values]

    def decode(
        self, shard: str, row: int, indices: Sequence[int] | NDArray[np.int64], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Decode the frames at ``indices``; one that is asked for twice in a row is decoded once.

        Args:
            shard: Its name.
            row: The clip's row.
            indices: Which frames.
            out: Where to decode to, contiguous; by default a new array.

        Returns:
            Red, green, blue: shape (frames, height, width, 3).

        Raises:
            UserError: The shard is missing or damaged.
        """
        jpegs = self._batch(shard)["frames"][row].values
        width, height = self.size(shard, row)
        clip_THWC = np.empty((len(indices), height, width, 3), np.uint8) if out is None else out
        try:
            for position, index in enumerate(indices):
                if position and index == indices[position - 1]:
                    clip_THWC[position] = clip_THWC[position - 1]
                else:
                    simplejpeg.decode_jpeg(_bytes_of(jpegs[int(index)]), buffer=clip_THWC[position])
        except ValueError as error:
            raise _damaged(self._folder / shard, str(error)) from None
        return clip_THWC

    def _batch(self, shard: str) -> pa.RecordBatch:
        if (batch := self._batches.get(shard)) is None:
            with self._lock:
                batch = self._batches.setdefault(shard, _open(self._folder / shard))
        return batch


def _bytes_of(value: pa.LargeBinaryScalar) -> memoryview:
    return memoryview(value.as_buffer()).cast("B")  # Arrow says signed bytes


def _open(path: Path) -> pa.RecordBatch:
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        if not (reader.schema.metadata or {}).items() >= _FORMAT.items():
            raise _damaged(path, "not a shard of this version")
        return reader.get_batch(0)
    except FileNotFoundError:
        raise UserError(f"{path}: this shard is missing; run `dvc checkout`, or ingest the source again") from None
    except (pa.ArrowInvalid, OSError, IndexError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path}: this shard is damaged ({why}); run `dvc checkout --force`, or ingest the source again")


def _write_durably(path: Path, content: pa.Buffer) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
