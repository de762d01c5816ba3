"""The stage ``export``, run over a small round without processes of its own for memory."""

from pathlib import Path

import pytest

from tasks import layout
from tasks.export import export
from tasks.params.quality import ExportParams
from tasks.params.whole import BaseParams

EASY = ExportParams(int8_max_accuracy_drop=1.0, int8_max_shift=100.0, calibration_clips=8, check_clips=6)
"""Accepts whatever answers."""


def export_round(root: Path, params: ExportParams = EASY) -> Path:
    """Export the model of the workspace ``root``; returns the folder of results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.exports.compare.peak_memory_mb", lambda *_: 100.0)
        export(
            BaseParams(name="actions"),
            params,
            data=root / layout.DATA,
            model=root / layout.MODEL,
            out=root / layout.FORMATS.parent,
        )
    return root / layout.FORMATS.parent
