"""Check the dataset's manifest before anything is trained: ``python -m tasks.validate``."""

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.clips.label_sets import is_multi_label
from models.clips.manifest import labels_of, read_manifest
from models.errors import UserError
from models.files import replacing
from tasks import layout
from tasks.params.data import SplitParams, ValidateParams
from tasks.params.whole import BaseParams
from tasks.params_file import load_params
from tasks.process import run_stage
from tasks.settings import settings
from tasks.tracking import tracked
from tasks.twins.leaks import with_copies
from tasks.validation.facts import class_facts, clip_facts, unknown_labels
from tasks.validation.memory import Memory

if TYPE_CHECKING:
    from tasks.validation.expectations import Finding

FAILED_CLIPS = "failed_clips.parquet"
"""Beside the pages: every clip that breaks a rule, and which."""

_ROWS_SHOWN = 10
_HASH = re.compile("[0-9a-f]{32,}")


def validate(
    base: BaseParams,
    params: ValidateParams,
    split: SplitParams,
    *,
    data: Path = layout.DATA,
    summary: Path = layout.VALIDATION,
    data_docs: Path = layout.DATA_DOCS,
) -> None:
    """Put the expectations on the manifest of ``data``, write what was found, and stop the round if one fails.

    Clips that passed before under the same rules are not asked again for what depends on them alone; see
    :mod:`tasks.validation.memory`.

    Args:
        base: Name of the MLflow experiment.
        params: The limits.
        split: How the splits were made.
        data: The dataset's folder.
        summary: What was found, as JSON.
        data_docs: What was found, as pages; also an artifact of the MLflow run.

    Raises:
        UserError: There is no manifest, or it breaks an expectation. Which clips break which was printed by then, and
            the pages are in ``settings().home / "data_docs"`` too, where a failed stage's outputs would be gone.
    """
    manifest = read_manifest(data / layout.MANIFEST.name)
    # The time of day is no input of the stage, and need not be: what is not in the future now will never be, and a
    # result that says otherwise is a failure, which DVC does not keep.
    shards, now = data / layout.SHARDS.name, datetime.now(UTC)
    memory = Memory(settings().home / "validated", params, manifest, shards) if params.incremental else None
    clips = clip_facts(manifest, shards, split, now, None if memory is None else memory.passed_N)
    if is_multi_label(clips):
        clips = clips.assign(unknown_label=unknown_labels(clips, params))
    if params.near_duplicates.enabled:
        clips = with_copies(clips, shards, settings().home, params.near_duplicates)
    findings = _check(clips, class_facts(manifest, params), params, split, data_docs, memory)
    _write_summary(findings, manifest, summary)
    failed = [finding for finding in findings if not finding.success]
    with tracked("validate", base.name) as tracker:
        tracker.metrics({"clips": len(manifest), "expectations": len(findings), "failed": len(failed)})
        tracker.artifact(data_docs, "data_docs")
        if failed:
            kept = _keep(data_docs, settings().home / "data_docs")
            print(failure_table(failed), file=sys.stderr)
            raise UserError(
                f"{data / layout.MANIFEST.name}: {len(failed)} of {len(findings)} expectations are not met (above); "
                "correct the videos or their table and ingest again, or change the limits in section validate of "
                f"params.yaml; the worst are in {kept / 'index.html'}, all clips concerned in {FAILED_CLIPS} beside it"
            )


def failure_table(failed: Sequence["Finding"], rows_shown: int = _ROWS_SHOWN) -> str:
    """Which clips break which expectation, for a terminal: at most ``rows_shown`` rows each."""
    return "\n".join(line for finding in failed for line in ["", *_lines(finding, rows_shown)])


def main() -> None:
    """The stage."""
    params = load_params()
    validate(params.base, params.validate_, params.split)


def _check(
    clips: pd.DataFrame,
    classes: pd.DataFrame,
    params: ValidateParams,
    split: SplitParams,
    data_docs: Path,
    memory: Memory | None,
) -> list["Finding"]:
    from tasks.validation.docs import write_docs
    from tasks.validation.expectations import check
    from tasks.validation.failed import write_failed_clips

    outcomes = check(clips, classes, params, split, None if memory is None else memory.passed_N)
    if memory is not None:
        memory.keep(np.unique(np.concatenate(outcomes["clips"].failing)))
    fresh = data_docs.with_name(f".{data_docs.name}.{os.getpid()}")
    write_docs(outcomes, fresh)
    write_failed_clips(clips, outcomes["clips"], fresh / FAILED_CLIPS)
    shutil.rmtree(data_docs, ignore_errors=True)
    fresh.replace(data_docs)
    return [finding for outcome in outcomes.values() for finding in outcome.findings]


def _write_summary(findings: Sequence["Finding"], manifest: pd.DataFrame, summary: Path) -> None:
    content = {
        "success": all(finding.success for finding in findings),
        "clips": len(manifest),
        "sources": int(manifest["source_id"].nunique()),
        "classes": len(labels_of(manifest)),
        "expectations": [asdict(finding) for finding in findings],
    }
    with replacing(summary) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def _keep(data_docs: Path, kept: Path) -> Path:
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(data_docs, kept)
    return kept.resolve()


def _lines(finding: "Finding", rows_shown: int) -> list[str]:
    lines = [f"{finding.table}: {finding.expectation}"]
    if not finding.rows:
        return [*lines, f"    found: {finding.observed}"]
    rows = [_cells(row, finding) for row in finding.rows[:rows_shown]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines += ["    " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    hidden = finding.count - len(rows)
    return [*lines, f"    ... and {hidden} more"] if hidden else lines


def _cells(row: dict[str, Any], finding: "Finding") -> list[str]:
    """What names the row, then what broke the expectation; nothing that would move a terminal's cursor."""
    named = [f"{name} {_shown(value)}" if name == finding.column else _shown(value) for name, value in row.items()]
    if finding.column in row:  # Great Expectations puts it first
        named.append(named.pop(list(row).index(finding.column)))
    return ["".join(letter if letter.isprintable() else "?" for letter in cell) for cell in named]


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text[:12]}..." if _HASH.fullmatch(text) else text


if __name__ == "__main__":
    run_stage(main)
