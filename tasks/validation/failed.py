"""All clips that break a rule, where pages show the worst: ``failed_clips.parquet`` beside the pages."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.files import replacing
from tasks.validation.expectations import Outcome

_SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string()),
        pa.field("uri", pa.string()),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("value", pa.string()),
    ]
)


def write_failed_clips(clips: pd.DataFrame, outcome: Outcome, path: Path) -> None:
    """Write one row for each clip and rule that it breaks; no file where there is none."""
    if not any(map(len, outcome.failing)):
        return
    with replacing(path) as temporary, pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer:
        for finding, failing in zip(outcome.findings, outcome.failing, strict=True):
            rows = clips.iloc[failing]
            value = rows[finding.column].astype("string") if finding.column else None
            table = rows[["clip_id", "uri"]].assign(rule=finding.expectation, column=finding.column, value=value)
            writer.write_table(pa.Table.from_pandas(table, schema=_SCHEMA, preserve_index=False))
