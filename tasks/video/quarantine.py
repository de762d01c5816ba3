"""The list of what the latest ingest did not take, and why: ``quarantine.parquet``."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.layouts.claim import Claim
from tasks.video.clips import Reason, Refused

_TERMS = b"videoloop.terms"
_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64()),
        pa.field("clip_id", pa.string()),
        pa.field("lasting", pa.bool_(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Rejected:
    """A claim that was not taken.

    Attributes:
        claim: What the source said.
        refused: Why.
        clip_id: Where the file could be read.
        sha256: Where the file could be read.
    """

    claim: Claim
    refused: Refused
    clip_id: str | None = None
    sha256: str | None = None


def write_quarantine(rejected: Sequence[Rejected], path: Path, terms: str) -> None:
    """Write ``rejected`` in order, all or nothing; ``terms`` names the parameters that the verdicts hold for."""
    rows = [
        {
            "path": entry.claim.uri,
            "sha256": entry.sha256,
            "reason": str(entry.refused),
            "label": entry.claim.label,
            "source_id": entry.claim.source_id,
            "start_s": entry.claim.segment.start_s,
            "end_s": entry.claim.segment.end_s,
            "clip_id": entry.clip_id,
            "lasting": entry.refused.lasting,
            "kind": entry.refused.reason.value,
        }
        for entry in sorted(rejected, key=lambda entry: (entry.claim.uri, entry.claim.segment.start_s))
    ]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({_TERMS: terms.encode()}))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)


def refused_before(path: Path, terms: str) -> dict[str, Refused]:
    """Verdicts that the latest ingest found under the same terms and would find again, by clip_id."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid):
        return {}
    if (table.schema.metadata or {}).get(_TERMS) != terms.encode() or not set(_SCHEMA.names) <= {*table.column_names}:
        return {}
    rows = [row for row in table.to_pylist() if row["lasting"] and row["clip_id"]]
    return {row["clip_id"]: Refused(row["reason"], Reason(row["kind"])) for row in rows}
