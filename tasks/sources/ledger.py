"""Which objects were fetched, and what they held: ``ledger.parquet`` in the dataset's folder.

It is a part of the dataset's version: whoever has the dataset fetches nothing again. While an ingest runs, each
object is noted at once in a journal, a line of JSON each, so that a killed ingest is taken up.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.files import replacing
from tasks.video.clips import Reason, Refused
from tasks.video.windows import Length

JOURNAL = ".ledger.jsonl"
LEDGER = "ledger.parquet"
_RECIPE = b"videoloop.recipe"
_VERDICT = pa.struct({"kind": pa.string(), "message": pa.string()})
_SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("refused", pa.map_(pa.string(), _VERDICT), nullable=False),
        pa.field("length_s", pa.float64()),
    ]
)
# Columns that ledgers of earlier versions lack.
_LATER = ("length_s",)
_LENGTH = "length"


@dataclass(frozen=True)
class Entry:
    """What one object held when it was fetched.

    Attributes:
        uri: Its address.
        etag: By which the bucket tells that its content changed.
        size: In bytes.
        version_id: In a bucket with versions.
        sha256: Of its content.
        refused: Kind and message of refusals that would come again, by clip_id; under ``length`` why the file does not
            say how long it is.
        length_s: How long it says that its video is, in seconds; None where that was not asked.
    """

    uri: str
    etag: str
    size: int
    version_id: str | None
    sha256: str
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    length_s: float | None = None

    @property
    def length(self) -> Length:
        """The length for windows, if it is known."""
        return self.verdicts.get(_LENGTH, self.length_s)

    @property
    def verdicts(self) -> dict[str, Refused]:
        """The refusals as ingest speaks of them."""
        return {clip_id: Refused(message, Reason(kind)) for clip_id, (kind, message) in self.refused.items()}


def noted_verdicts(verdicts: Mapping[str, Refused], length: Length) -> dict[str, tuple[str, str]]:
    """Refusals as an :class:`Entry` keeps them."""
    found = {**verdicts, **({_LENGTH: length} if isinstance(length, Refused) and length.lasting else {})}
    return {clip_id: (verdict.reason.value, str(verdict)) for clip_id, verdict in found.items()}


class Ledger:
    """The entries of a dataset's folder; of each object the latest.

    Args:
        folder: The dataset's folder.
        recipe: Names the parameters that refusals hold for; under others a clip may be taken.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        self._path, self._journal_path, self._recipe = folder / LEDGER, folder / JOURNAL, recipe
        self._entries = {entry.uri: entry for entry in [*_stored(self._path, recipe), *self._noted()]}
        self.close()

    def get(self, uri: str, etag: str, size: int) -> Entry | None:
        """What the object held, if this content of it was fetched."""
        entry = self._entries.get(uri)
        return entry if entry and (entry.etag, entry.size) == (etag, size) else None

    def note(self, entry: Entry) -> None:
        """Write down that an object was fetched."""
        self._entries[entry.uri] = entry
        with self._journal_path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({**asdict(entry), "recipe": self._recipe}) + "\n")

    def close(self) -> None:
        """Put the journal into the ledger, where there is one."""
        if not self._journal_path.exists():
            return
        rows = [
            {**asdict(entry), "refused": _pairs(entry)}
            for entry in sorted(self._entries.values(), key=lambda entry: entry.uri)
        ]
        table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({_RECIPE: self._recipe.encode()}))
        with replacing(self._path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        self._journal_path.unlink()

    def _noted(self) -> list[Entry]:
        try:
            lines = self._journal_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            try:
                content: dict[str, Any] = json.loads(line)
                same = content.pop("recipe") == self._recipe
                refused = {clip_id: (kind, message) for clip_id, (kind, message) in content["refused"].items()}
                entries.append(Entry(**{**content, "refused": refused if same else {}}))
            except (ValueError, KeyError, TypeError):  # torn by a kill or a full disk: that object is fetched again
                continue
        return entries


def _stored(path: Path, recipe: str) -> list[Entry]:
    try:
        table = pq.read_table(path)
        same = (table.schema.metadata or {}).get(_RECIPE) == recipe.encode()
        rows = table.select([name for name in _SCHEMA.names if name in {*table.column_names} or name not in _LATER])
    except (OSError, KeyError, pa.ArrowInvalid):
        return []
    pairs = ((row, _of_pairs(row["refused"]) if same else {}) for row in rows.to_pylist())
    return [Entry(**{**row, "refused": refused}) for row, refused in pairs]


def _pairs(entry: Entry) -> list[tuple[str, dict[str, str]]]:
    return [(clip_id, {"kind": kind, "message": message}) for clip_id, (kind, message) in sorted(entry.refused.items())]


def _of_pairs(pairs: list[tuple[str, dict[str, str]]]) -> dict[str, tuple[str, str]]:
    return {clip_id: (verdict["kind"], verdict["message"]) for clip_id, verdict in pairs}
