"""The list of what the latest ingest did not take, and why: ``quarantine.parquet``."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.layouts.claim import Claim
from tasks.video.clips import Refused

_RECIPE = b"videoloop.recipe"
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


def write_quarantine(rejected: Sequence[Rejected], path: Path, recipe: str) -> None:
    """Write ``rejected`` in order, all or nothing; ``recipe`` names the parameters that the verdicts hold for."""
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
        }
        for entry in sorted(rejected, key=lambda entry: (entry.claim.uri, entry.claim.segment.start_s))
    ]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata({_RECIPE: recipe.encode()}))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)


def refused_before(path: Path, recipe: str) -> dict[str, str]:
    """Reasons that the latest ingest found under the same parameters and would find again, by clip_id."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid):
        return {}
    if (table.schema.metadata or {}).get(_RECIPE) != recipe.encode() or not set(_SCHEMA.names) <= {*table.column_names}:
        return {}
    return {row["clip_id"]: row["reason"] for row in table.to_pylist() if row["lasting"] and row["clip_id"]}
