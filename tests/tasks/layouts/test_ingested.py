"""Well-known datasets, decoded: from the files as published to a manifest with official splits."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.clips.manifest import read_manifest
from tasks.ingest import ingest
from tasks.params.data import IngestParams, SplitParams
from tests.support import layouts
from tests.support.videos import pictures, write_video

PARAMS = IngestParams(short_side=32, max_fps=10, min_duration_s=0.5, max_duration_s=5)
CODECS = {".avi": "mpeg4", ".webm": "libvpx", ".mp4": "libx264"}


@pytest.mark.parametrize("make", [layouts.ucf101, layouts.something])
def test_a_dataset_as_published_becomes_one_of_ours(make: Callable[..., Path], tmp_path: Path) -> None:
    written: list[Path] = []

    def write(path: Path) -> Path:
        written.append(write_video(path, pictures(8, seed=len(written)), codec=CODECS[path.suffix]))
        return path

    source = make(tmp_path / "source", write)
    summary = ingest(source, tmp_path / "data", PARAMS, SplitParams(by="given"), seed=0, num_workers=1)
    manifest = read_manifest(tmp_path / "data" / "manifest.parquet")
    assert summary.quarantined == []
    assert (summary.classes, set(manifest["split"])) == (2, {"train", "val", "test"})
    assert (manifest.groupby("source_id")["split"].nunique() == 1).all()
